package pool

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// Prewarm opens up to conns connections to each endpoint of rawURL, with a HEAD
// request for it over each; one is enough for HTTP/2. What the server answers
// does not matter. The error names each endpoint that could not be reached; it
// is that of the resolver if none is known, and matches policy.ErrClosed after
// [Transport.Drain].
func (t *Transport) Prewarm(ctx context.Context, rawURL string, conns int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, rawURL, nil)
	if err != nil {
		return err
	}
	if !sound(req) {
		return &url.Error{Op: "prewarm", URL: rawURL, Err: errNotHTTP}
	}
	all, err := t.known(req)
	if err != nil {
		return err
	}
	errs := make([]error, len(all))
	var warmed sync.WaitGroup
	for i, e := range all {
		warmed.Go(func() { errs[i] = e.prewarm(req, conns) })
	}
	warmed.Wait()
	return errors.Join(errs...)
}

var errNotHTTP = errors.New("neither http nor https, or without a host")

// known returns the endpoints of req's target once they are.
func (t *Transport) known(req *http.Request) ([]*endpoint, error) {
	for {
		e, _, err := t.endpointFor(req)
		if err != nil {
			return nil, err
		}
		e.exit()
		if e.target == nil {
			return []*endpoint{e}, nil
		}
		if all := e.target.endpoints(); len(all) > 0 {
			return all, nil
		}
	}
}

// prewarm opens connections by requests of which each keeps its own until all
// have one.
func (e *endpoint) prewarm(req *http.Request, conns int) error {
	ctx := req.Context()
	held := newBarrier(conns)
	errs := make([]error, max(conns, 0))
	var done sync.WaitGroup
	for i := range errs {
		done.Go(func() {
			arrive := sync.OnceFunc(held.arrive)
			defer arrive()
			errs[i] = e.head(req.Clone(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
				GotConn: func(info httptrace.GotConnInfo) {
					if multiplexed(info) {
						held.open()
					}
					arrive()
					held.wait(ctx)
				},
			})))
		})
	}
	done.Wait()
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("%s: %w", e.address, err) // one of many alike
		}
	}
	return nil
}

func (e *endpoint) head(req *http.Request) error {
	if !e.enter() {
		return closedError(keyOf(req.URL, nil).String())
	}
	defer e.exit()
	resp, err := e.set.RoundTrip(req, unjudged{}, time.Now(), policy.Permit{})
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// multiplexed reports whether requests share the connection.
func multiplexed(info httptrace.GotConnInfo) bool {
	c, ok := info.Conn.(interface{ ConnectionState() tls.ConnectionState })
	return ok && c.ConnectionState().NegotiatedProtocol == "h2"
}

// barrier holds back those who arrive until all have, or it is opened.
type barrier struct {
	missing atomic.Int64
	opened  chan struct{}
	open    func()
}

func newBarrier(n int) *barrier {
	b := &barrier{opened: make(chan struct{})}
	b.open = sync.OnceFunc(func() { close(b.opened) })
	b.missing.Store(int64(n))
	return b
}

func (b *barrier) arrive() {
	if b.missing.Add(-1) == 0 {
		b.open()
	}
}

func (b *barrier) wait(ctx context.Context) {
	select {
	case <-b.opened:
	case <-ctx.Done():
	}
}
