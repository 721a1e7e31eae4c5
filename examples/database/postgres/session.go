package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/magnetar-go/magnetar/policy"
)

// session is a connection. A pgx.Conn is for one goroutine at a time, but the
// pool closes one whose check takes too long, or whose user outlasts DB.Close. So
// it has a lock, and its socket, which may be closed without.
type session struct {
	socket net.Conn

	use sync.Mutex
	// Guarded by use:
	conn *pgx.Conn
}

// sessions are a [pool.Factory].
type sessions struct {
	cfg      *pgx.ConnConfig
	password func(context.Context) (string, error)
}

// Create connects. What the server would say again is permanent: nobody waits
// for a password to become right.
func (s *sessions) Create(ctx context.Context) (*session, error) {
	password, err := s.password(ctx)
	if err != nil {
		return nil, err
	}
	c, err := s.connect(ctx, password)
	if stateOf(err) == invalidPassword {
		if now, e := s.password(ctx); e == nil && now != password { // rotated meanwhile
			c, err = s.connect(ctx, now)
		}
	}
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	if untrusted || stateOf(err) != "" && verdictOf(err) == wrong {
		return nil, policy.Permanent(err)
	}
	return c, err
}

func (s *sessions) connect(ctx context.Context, password string) (*session, error) {
	cfg := s.cfg.Copy()
	cfg.Password = password
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &session{conn: conn, socket: conn.PgConn().Conn()}, nil
}

// IsHealthy looks at what is known here, then makes one round trip, the pool's
// CheckTimeout at most.
func (*sessions) IsHealthy(ctx context.Context, c *session) error {
	c.use.Lock()
	defer c.use.Unlock()
	if err := idle(c.conn); err != nil {
		return err
	}
	return c.conn.Ping(ctx)
}

// Close says goodbye, and waits until the socket is closed: of a statement that
// was cut off pgx cancels the rest on the server first. One that is in use has its
// socket closed at once, so that its user finds out, and then is waited for.
func (*sessions) Close(c *session) error {
	if !c.use.TryLock() {
		_ = c.socket.Close() // pgx closes it again
		c.use.Lock()
	}
	defer c.use.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := c.conn.Close(ctx)
	<-c.conn.PgConn().CleanupDone()
	return err
}

var (
	errClosed     = errors.New("the connection is closed")
	errUnfinished = errors.New("the connection is in a transaction, or has rows that nobody closed")
)

// idle tells why nobody else can use the connection.
func idle(conn *pgx.Conn) error {
	switch {
	case conn.IsClosed():
		return errClosed
	case conn.PgConn().IsBusy(), conn.PgConn().TxStatus() != 'I':
		return errUnfinished
	}
	return nil
}
