package postgres

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scripted is a server that says what a test wants, at the moment that a real
// one is hard to catch in.
type scripted struct {
	listener net.Listener
	// answer is what the nth session, from 1 on, gets for a statement; nil
	// gets the usual. An empty one ends the connection, silence does not. It is
	// called by one goroutine at a time.
	answer func(session int, statement string) []pgproto3.BackendMessage

	left chan struct{} // one for each session that ended
	all  sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu:
	conns    []net.Conn
	sessions int
	said     []string // statements
}

// silence is an answer that does not come.
var silence = []pgproto3.BackendMessage{nil}

func script(t *testing.T, answer func(session int, statement string) []pgproto3.BackendMessage) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &scripted{listener: l, answer: answer, left: make(chan struct{}, 100)}
	s.all.Go(s.accept)
	t.Cleanup(s.close)
	return s
}

// open is a DB of one connection at a time, in pgx's simple protocol.
func (s *scripted) open(t *testing.T, change func(*Config), opts ...Option) *DB {
	t.Helper()
	cfg := Default("postgres://shop@" + s.listener.Addr().String() + "/shop?sslmode=disable&default_query_exec_mode=simple_protocol")
	cfg.Pool = pool.Config{MaxSize: 1, MinIdle: -1, AcquireTimeout: 10 * time.Second}
	cfg.Retry = policy.RetryConfig{MaxRetries: 3, InitialBackoff: time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	db, err := Open(cfg, opts...)
	require.NoError(t, err)
	t.Cleanup(func() {
		s.hangUp() // what is silent
		require.NoError(t, db.Close(context.Background()))
	})
	return db
}

// count is how often a statement came.
func (s *scripted) count(statement string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, said := range s.said {
		if strings.HasPrefix(said, statement) {
			n++
		}
	}
	return n
}

func (s *scripted) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns = append(s.conns, conn)
		s.mu.Unlock()
		s.all.Go(func() {
			defer conn.Close()
			s.serve(conn)
		})
	}
}

func (s *scripted) serve(conn net.Conn) {
	b := pgproto3.NewBackend(conn, conn)
	startup, err := b.ReceiveStartupMessage()
	if _, ok := startup.(*pgproto3.StartupMessage); err != nil || !ok {
		return // a cancel request, say
	}
	s.mu.Lock()
	s.sessions++
	n := s.sessions
	s.mu.Unlock()
	defer func() { s.left <- struct{}{} }()
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	b.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	for b.Flush() == nil {
		message, err := b.Receive()
		query, ok := message.(*pgproto3.Query)
		if err != nil || !ok {
			return
		}
		s.mu.Lock()
		s.said = append(s.said, query.String)
		answer := s.answer(n, query.String)
		s.mu.Unlock()
		if answer == nil {
			answer = usual(query.String)
		}
		if len(answer) == 0 {
			return
		}
		for _, m := range answer {
			if m != nil {
				b.Send(m)
			}
		}
	}
}

// usual is what a server without trouble says.
func usual(statement string) []pgproto3.BackendMessage {
	one := func(value string) []pgproto3.BackendMessage {
		return []pgproto3.BackendMessage{
			&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("x"), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1}}},
			&pgproto3.DataRow{Values: [][]byte{[]byte(value)}},
			&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")},
		}
	}
	switch {
	case strings.HasPrefix(statement, "begin"):
		number := "4711"
		if strings.HasPrefix(statement, "begin read only") {
			number = ""
		}
		begun := append([]pgproto3.BackendMessage{&pgproto3.CommandComplete{CommandTag: []byte("BEGIN")}}, one(number)...)
		return append(begun, &pgproto3.ReadyForQuery{TxStatus: 'T'})
	case statement == "commit":
		return answered("COMMIT", 'I')
	case statement == "rollback":
		return answered("ROLLBACK", 'I')
	case strings.HasPrefix(statement, "insert"):
		return answered("INSERT 0 1", 'T')
	case strings.HasPrefix(statement, "-- ping"):
		return []pgproto3.BackendMessage{&pgproto3.EmptyQueryResponse{}, &pgproto3.ReadyForQuery{TxStatus: 'I'}}
	}
	return append(one("1"), &pgproto3.ReadyForQuery{TxStatus: 'I'})
}

func answered(tag string, status byte) []pgproto3.BackendMessage {
	return []pgproto3.BackendMessage{&pgproto3.CommandComplete{CommandTag: []byte(tag)}, &pgproto3.ReadyForQuery{TxStatus: status}}
}

// failed is an error, after which the transaction is over.
func failed(state string) []pgproto3.BackendMessage {
	return []pgproto3.BackendMessage{
		&pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: state, Message: "scripted"},
		&pgproto3.ReadyForQuery{TxStatus: 'I'},
	}
}

// ended is the session's.
func ended(state string) pgproto3.BackendMessage {
	return &pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: state, Message: "scripted"}
}

func (s *scripted) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.conns {
		conn.Close()
	}
}

func (s *scripted) close() {
	s.listener.Close()
	s.hangUp()
	s.all.Wait()
}
