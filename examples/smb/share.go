package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudsoda/go-smb2"

	"github.com/magnetar-go/magnetar/policy"
)

// Server is a share, and who asks for it.
type Server struct {
	Address  string // "host:port"
	Share    string
	User     string
	Password string
	Domain   string
}

func (s Server) validate() error {
	var f policy.Faults
	if _, _, err := net.SplitHostPort(s.Address); err != nil {
		f.Addf("address", "%q: %w", s.Address, err)
	}
	if s.Share == "" {
		f.Addf("share", "must not be empty")
	}
	return f.Err()
}

// closeTime is for how long a server is told goodbye.
const closeTime = time.Second

var (
	errBroken = errors.New("the session was cut")
	errInUse  = errors.New("the session is in use")
)

// Share is a session with its mounted share, on a connection of its own: what
// the pool lends. One call at a time uses it.
//
// However the server behaves, no call outlasts its context: when that ends, the
// connection is closed. Then whatever go-smb2 was waiting for fails, and so does
// all that comes after, since go-smb2 may not use a connection again that it has
// left in the middle of a request.
type Share struct {
	conn    net.Conn
	session *smb2.Session
	share   *smb2.Share

	inUse  sync.Mutex // held by a call
	broken atomic.Bool
}

// dial connects, negotiates, sets up a session and mounts the share.
func (s Server) dial(ctx context.Context) (*Share, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return nil, marked(err)
	}
	sh := &Share{conn: conn}
	err = sh.within(ctx, func(ctx context.Context) error {
		return trusting(func() error { return sh.setUp(ctx, s) })
	})
	if err != nil {
		sh.cut()
		return nil, marked(err)
	}
	return sh, nil
}

func (sh *Share) setUp(ctx context.Context, s Server) (err error) {
	dialer := smb2.Dialer{Initiator: &smb2.NTLMInitiator{User: s.User, Password: s.Password, Domain: s.Domain}}
	sh.session, err = dialer.DialConn(ctx, sh.conn, s.Address)
	if err != nil {
		return fmt.Errorf("session of %s: %w", s.User, err)
	}
	sh.share, err = sh.session.WithContext(ctx).Mount(s.Share)
	if err != nil {
		return fmt.Errorf("share %s: %w", s.Share, err)
	}
	// Whether go-smb2 can ask at all as the server wants it, it finds out only now.
	return look(sh.share.WithContext(ctx))
}

// Do has f use the share until ctx ends. An error that matches that of ctx says
// that the time was up; whether the server did what it was asked is not known.
// A panic of f is the caller's; the session is cut after it.
func (sh *Share) Do(ctx context.Context, f func(*smb2.Share) error) error {
	return sh.within(ctx, func(ctx context.Context) error { return f(sh.share.WithContext(ctx)) })
}

func (sh *Share) check(ctx context.Context) error { return sh.Do(ctx, look) }

// look asks for the share's root: an echo would tell of the session alone.
func look(share *smb2.Share) error {
	_, err := share.Stat("")
	return err
}

// close says goodbye, if the server listens. A session that is broken, or that
// somebody still waits for, is only cut: go-smb2 panics in a call whose session
// is logged off under it.
func (sh *Share) close() error {
	defer sh.cut()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err := sh.within(ctx, func(ctx context.Context) error {
		if err := sh.share.WithContext(ctx).Umount(); err != nil {
			return err
		}
		return sh.session.WithContext(ctx).Logoff()
	})
	if errors.Is(err, errBroken) || errors.Is(err, errInUse) {
		return nil
	}
	return err
}

// within runs f, and cuts the connection when ctx ends first, or f by a panic: who
// knows what it was in the middle of.
func (sh *Share) within(ctx context.Context, f func(context.Context) error) error {
	if !sh.inUse.TryLock() {
		return errInUse
	}
	defer sh.inUse.Unlock()
	if sh.broken.Load() {
		return errBroken
	}
	stop := context.AfterFunc(ctx, sh.cut)
	defer stop()
	returned := false
	defer func() {
		if !returned {
			sh.cut()
		}
	}()
	err := f(ctx)
	returned = true
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		sh.cut()
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	case unusable(err):
		sh.cut()
	}
	return err
}

// trusting has go-smb2 ask for what it is known to panic with, since it believes the
// server: who says that it has written more than it was sent, or that a session
// without keys is one with keys. That is an answer that makes no sense.
func trusting(ask func() error) (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		nonsense, ok := v.(runtime.Error)
		if !ok {
			panic(v)
		}
		err = &smb2.InvalidResponseError{Message: nonsense.Error()}
	}()
	return ask()
}

func (sh *Share) cut() {
	sh.broken.Store(true)
	_ = sh.conn.Close() // there is nobody to tell, and it may be closed already
}
