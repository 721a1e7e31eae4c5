package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// listeners are where a service answers, and where its console does.
type listeners struct{ public, admin net.Listener }

func listen(ctx context.Context, cfg Config) (l listeners, err error) {
	var lc net.ListenConfig
	if l.public, err = lc.Listen(ctx, "tcp", cfg.Listen); err != nil {
		return l, err
	}
	if l.admin, err = lc.Listen(ctx, "tcp", cfg.Admin); err != nil {
		return l, errors.Join(err, l.public.Close())
	}
	return l, nil
}

func (l listeners) close() error { return errors.Join(l.public.Close(), l.admin.Close()) }

// readWithin is how long a client has to send a request: none has a body to speak of.
const readWithin = 5 * time.Second

// serve serves until ctx ends or a listener fails, and then stops in order.
func (s *service) serve(ctx context.Context, l listeners, stopWithin time.Duration) error {
	public := &http.Server{Handler: s.router(), ReadTimeout: readWithin, IdleTimeout: 2 * time.Minute}
	admin := &http.Server{Handler: s.admin(), ReadHeaderTimeout: readWithin}
	ended := make(chan error, 2)
	go func() { ended <- public.Serve(l.public) }()
	go func() { ended <- admin.Serve(l.admin) }()
	var failed error
	running := 2
	select {
	case failed = <-ended:
		running--
	case <-ctx.Done():
	}
	err := s.stop(context.WithoutCancel(ctx), public, admin, stopWithin)
	for range running {
		if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}
	return errors.Join(failed, err)
}

// stop ends the service from the outside in: nobody is let in any more, and
// readiness says so; who is in is answered; then connections are closed, those of
// clients before those that answers come from. The console stays to the end. Clients
// that do not end have three quarters of the time, so that there is some left for what
// comes after them.
func (s *service) stop(ctx context.Context, public, admin *http.Server, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	clients, leave := context.WithTimeout(ctx, within*3/4)
	defer leave()
	err := errors.Join(
		s.shedder.Drain(clients),
		shutdown(clients, public),
		s.close(ctx),
	)
	s.telemetry.console.Close() // else Shutdown would wait for who looks at it
	return errors.Join(err, shutdown(ctx, admin), s.telemetry.close(ctx))
}

func shutdown(ctx context.Context, srv *http.Server) error {
	err := srv.Shutdown(ctx)
	if err != nil {
		_ = srv.Close() // what is left is cut
	}
	return err
}
