package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

var errNoProduct = errors.New("no such product")

// database lends sessions, and asks again on another where one failed. It stands
// for any client whose connections are dear to make; examples/database has a
// real one.
type database struct {
	sessions *pool.Pool[*session]
	policies []policy.Policy // outermost first
}

func openDatabase(cfg Database, t *telemetry) (*database, error) {
	dial := func(ctx context.Context) (*session, error) { return dialSession(ctx, cfg.Address) }
	sessions, err := pool.New(pool.Funcs(dial, ping, (*session).close), cfg.Sessions,
		pool.WithKey("database"), pool.WithTelemetry(t.observer), pool.WithObserver(t.others))
	if err != nil {
		return nil, err
	}
	opts := []policy.Option{policy.WithKey("database"), policy.WithObserver(t.all())}
	d := &database{sessions: sessions}
	if cfg.Retry != nil {
		d.policies = append(d.policies, policy.NewRetry(*cfg.Retry, opts...))
	}
	if cfg.Breaker != nil {
		d.policies = append(d.policies, policy.NewCircuitBreaker(*cfg.Breaker, opts...))
	}
	return d, nil
}

// name of a product. Whoever only reads may be asked again.
func (d *database) name(ctx context.Context, id string) (string, error) {
	return policy.Get(ctx, func(ctx context.Context) (name string, err error) {
		err = d.sessions.Do(ctx, func(ctx context.Context, s *session) error {
			name, err = s.ask(ctx, "NAME "+id)
			return err
		})
		return name, err
	}, d.policies...)
}

func (d *database) close(ctx context.Context) error { return d.sessions.Close(ctx) }

// session speaks a line and reads one.
type session struct {
	conn  net.Conn
	lines *bufio.Reader
}

func dialSession(ctx context.Context, address string) (*session, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &session{conn, bufio.NewReader(conn)}, nil
}

// ask returns the answer to a question. A session that failed, or whose answer
// nobody waited for, is closed: the answer would be taken for the next one's.
func (s *session) ask(ctx context.Context, question string) (string, error) {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	answer, err := s.exchange(question)
	if !stop() || err != nil {
		_ = s.conn.Close()
	}
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("%w: %w", context.Cause(ctx), errors.Join(ctx.Err(), err))
	case err != nil:
		return "", err
	case answer == "NONE":
		return "", policy.Permanent(errNoProduct)
	}
	return strings.TrimPrefix(answer, "OK "), nil
}

func (s *session) exchange(question string) (string, error) {
	if _, err := io.WriteString(s.conn, question+"\n"); err != nil {
		return "", err
	}
	answer, err := s.lines.ReadString('\n')
	return strings.TrimSuffix(answer, "\n"), err
}

func ping(ctx context.Context, s *session) error {
	_, err := s.ask(ctx, "PING")
	return err
}

func (s *session) close() error { return s.conn.Close() }
