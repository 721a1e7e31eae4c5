package medicine

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

// The server's resource, a pool of connections, say.
const (
	slots       = 8
	serviceTime = 20 * time.Millisecond // on average
	capacity    = slots * float64(time.Second/serviceTime)
)

// resource serves as many requests at a time as it has slots.
type resource struct {
	slots chan struct{}

	mu sync.Mutex
	// Guarded by mu:
	rng *rand.Rand
}

func newResource(seed uint64) *resource {
	return &resource{slots: make(chan struct{}, slots), rng: rand.New(rand.NewPCG(seed, 3))}
}

func (s *resource) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
		time.Sleep(s.draw())
	case <-r.Context().Done():
	}
}

// draw is how long a request takes: exponential.
func (s *resource) draw() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.rng.ExpFloat64() * float64(serviceTime))
}

// server is the resource behind Shed, reached by pipes, so that it works in a
// synctest bubble.
type server struct {
	http.Server
	listener *pipeListener
	tries    atomic.Int64
}

func newServer(seed uint64) *server {
	guarded := middleware.Shed(policy.ConcurrencyConfig{})(newResource(seed))
	s := &server{listener: &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}}
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.tries.Add(1)
		guarded.ServeHTTP(w, r)
	})
	go func() { _ = s.Serve(s.listener) }()
	return s
}

type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
