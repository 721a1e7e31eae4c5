package transport_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// lingering is a body that is still being read when the peer has answered: its
// second Read takes a while, or until the channel is closed. Its fields tell the
// race detector of readers that overlap.
type lingering struct {
	content *bytes.Reader
	linger  time.Duration
	until   <-chan struct{}
	reads   int
	began   func()
	ended   func()
}

func (l *lingering) Read(p []byte) (int, error) {
	switch l.reads++; {
	case l.reads == 1 && l.began != nil:
		l.began()
	case l.reads == 2 && l.until != nil:
		<-l.until
	case l.reads == 2:
		time.Sleep(l.linger)
	}
	return l.content.Read(p[:min(len(p), 1<<10)])
}

func (l *lingering) Close() error {
	if l.ended != nil {
		l.ended()
	}
	return nil
}

// impatient answers the first request before it has read it, the others after.
type impatient struct {
	answered chan struct{} // closed with the first answer

	mu       sync.Mutex
	received []string
	requests int
}

func newImpatient() *impatient { return &impatient{answered: make(chan struct{})} }

func (s *impatient) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests++
	first := s.requests == 1
	s.mu.Unlock()
	if first {
		_ = http.NewResponseController(w).EnableFullDuplex() // it must not read ahead either
		w.WriteHeader(http.StatusServiceUnavailable)
		_ = http.NewResponseController(w).Flush()
		close(s.answered)
		return
	}
	b, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = append(s.received, string(b))
}

// overPipes runs test in a bubble over HTTP/1.1 and over HTTP/2, between pipes.
func overPipes(t *testing.T, test func(t *testing.T, serve func(http.Handler) *http.Transport)) {
	for _, p := range []struct {
		name string
		set  func(*http.Protocols)
	}{
		{"h1", func(p *http.Protocols) { p.SetHTTP1(true) }},
		{"h2", func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }},
	} {
		t.Run(p.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				protocols := new(http.Protocols)
				p.set(protocols)
				test(t, func(h http.Handler) *http.Transport { return servePipes(t, h, protocols) })
			})
		})
	}
}

func servePipes(t *testing.T, h http.Handler, protocols *http.Protocols) *http.Transport {
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: h, Protocols: protocols}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(l)
	}()
	base := &http.Transport{DialContext: l.dial, Protocols: protocols}
	t.Cleanup(func() {
		base.CloseIdleConnections()
		_ = srv.Close()
		<-served
	})
	return base
}

// Trap 33: a replay from the buffer waits until nobody reads the source any
// more, and is whole.
func TestTrap33ReplayWaitsUntilTheTryBeforeHasLetGoOfTheBody(t *testing.T) {
	overPipes(t, func(t *testing.T, serve func(http.Handler) *http.Transport) {
		const linger = 500 * time.Millisecond
		h := newImpatient()
		tr := transport.New(serve(h), transport.Config{Retry: &transport.Retry{InitialBackoff: 1}})
		closed := 0
		whole := pattern(40 << 10)
		body := &lingering{content: bytes.NewReader(whole), linger: linger, ended: func() { closed++ }}
		began := time.Now()
		resp, err := tr.RoundTrip(request(t, http.MethodPut, "http://peer.test/", body))
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		content(t, resp)
		synctest.Wait()
		require.Equal(t, []string{string(whole)}, h.received)
		require.GreaterOrEqual(t, time.Since(began), linger)
		require.Equal(t, 1, closed)
	})
}

// Trap 33: copies from GetBody are not open at the same time either.
func TestTrap33ReplayFromGetBodyBeginsAfterTheFirstIsClosed(t *testing.T) {
	overPipes(t, func(t *testing.T, serve func(http.Handler) *http.Transport) {
		h := newImpatient()
		tr := transport.New(serve(h), transport.Config{Retry: &transport.Retry{InitialBackoff: 1}})
		var mu sync.Mutex
		var events []string
		note := func(e string) func() {
			return func() {
				mu.Lock()
				defer mu.Unlock()
				events = append(events, e)
			}
		}
		whole := pattern(40 << 10)
		req := request(t, http.MethodPut, "http://peer.test/", &lingering{
			content: bytes.NewReader(whole), linger: 500 * time.Millisecond, began: note("read 1"), ended: note("close 1"),
		})
		req.GetBody = func() (io.ReadCloser, error) {
			return &lingering{content: bytes.NewReader(whole), began: note("read 2"), ended: note("close 2")}, nil
		}
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		content(t, resp)
		time.Sleep(time.Second) // until the last Read has ended
		mu.Lock()
		defer mu.Unlock()
		require.ElementsMatch(t, []string{"read 1", "close 1", "read 2", "close 2"}, events)
		// HTTP/2 may close the first before it reads it.
		require.Less(t, slices.Index(events, "close 1"), slices.Index(events, "read 2"))
		require.Equal(t, []string{string(whole)}, h.received)
	})
}

// Trap 33: a body that is not let go of is not shared by two tries.
func TestTrap33BodyThatIsNotLetGoOfIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		n := 0
		tr := transport.New(roundTrip(func(req *http.Request) (*http.Response, error) {
			n++
			go func() { // against the contract: it keeps on reading
				_, _ = io.Copy(io.Discard, req.Body)
				req.Body.Close()
			}()
			time.Sleep(time.Millisecond) // until it waits in its second Read
			return response(http.StatusServiceUnavailable, http.NoBody), nil
		}), transport.Config{Retry: &transport.Retry{InitialBackoff: 1}})
		body := &lingering{content: bytes.NewReader(pattern(4 << 10)), until: release}
		resp, err := tr.RoundTrip(request(t, http.MethodPut, "http://peer.test/", body))
		require.NoError(t, err)
		require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode, "the answer is kept instead")
		require.Equal(t, 1, n)
	})
}

// Trap 33: the same over real connections, for the race detector.
func TestTrap33ReplaysDoNotRace(t *testing.T) {
	for _, getBody := range []bool{false, true} {
		h := newImpatient()
		var mu sync.Mutex
		eachProtocol(t, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			now := h
			mu.Unlock()
			now.ServeHTTP(w, r)
		}, func(t *testing.T, srv *httptest.Server) {
			seen := new(decisions)
			// A server closes the connection of an upload that it did not read, so
			// a retry can meet a dead one: there must be retries enough.
			tr := transport.New(srv.Client().Transport, transport.Config{Retry: &transport.Retry{
				MaxRetries: 5, InitialBackoff: 1, Budget: &policy.BudgetConfig{Burst: 1000},
			}}, transport.WithObserver(seen))
			whole := pattern(60 << 10)
			for range 20 {
				mu.Lock()
				h = newImpatient()
				mu.Unlock()
				req := request(t, http.MethodPut, srv.URL, &lingering{content: bytes.NewReader(whole), until: h.answered})
				if getBody {
					req.GetBody = func() (io.ReadCloser, error) { return &lingering{content: bytes.NewReader(whole)}, nil }
				}
				resp, err := tr.RoundTrip(req)
				require.NoError(t, err, "gave up: %v", seen.reasons(policy.PolicyRetry, policy.ActionGiveUp))
				require.Equal(t, http.StatusOK, resp.StatusCode)
				content(t, resp)
				h.mu.Lock()
				require.Equal(t, []string{string(whole)}, h.received)
				h.mu.Unlock()
			}
		})
	}
}
