package generation

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

// Pool trap 2: a request that comes late to a generation has net/http keep
// connections again.
func TestPoolTrap02LateRequestLeavesNoConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		release := make(chan struct{})
		base := m.serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/held" {
				<-release
			}
		}))
		s := New(Config{Base: base})
		old := s.current.Load()
		go func() { _ = sized(client(s), "http://upstream/held", 0) }()
		synctest.Wait()
		require.True(t, old.enter()) // loaded just before the swap
		s.Rotate(t.Context(), policy.ReasonRotated, "")

		late := &Exchange{Request: request(t, "http://upstream/"), owner: new(ledger), generation: old}
		resp, err := late.run()
		require.NoError(t, err)
		resp.Body.Close()
		close(release)
		synctest.Wait()
		require.Zero(t, m.open.Load())
		require.Equal(t, 1, s.Stats().Generations)
		require.NoError(t, s.Close(t.Context()))
	})
}

func request(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	return req
}

// Pool trap 3.
func TestPoolTrap03DialThatEndsAfterItsGenerationIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.before = func(context.Context) { time.Sleep(200 * time.Millisecond) } // deaf to its context
		s := New(Config{Base: m.serve(t, echo)})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		req := request(t, "http://upstream/").WithContext(ctx)
		_, err := fetch(client(s), req)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(50 * time.Millisecond)
		s.Rotate(t.Context(), policy.ReasonRotated, "")
		time.Sleep(time.Second)
		require.EqualValues(t, 1, m.dials.Load())
		require.Zero(t, m.open.Load())
		require.Empty(t, s.Stats().Conns)
		require.NoError(t, s.Close(t.Context()))
	})
}

func TestDrainTimeoutCutsWhatStillRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, seen := newMemory(), new(recorder)
		base := m.serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}))
		s := New(Config{Base: base, DrainTimeout: time.Minute, Watch: seen.watch()})
		resp, err := client(s).Do(request(t, "http://upstream/"))
		require.NoError(t, err)
		s.Rotate(t.Context(), policy.ReasonEjected, "why")
		began := time.Now()
		_, err = io.ReadAll(resp.Body)
		require.Error(t, err)
		require.Equal(t, time.Minute, time.Since(began))
		resp.Body.Close()
		synctest.Wait()
		require.Zero(t, m.open.Load())
		require.Len(t, seen.of(policy.ActionRetire, policy.ReasonDrainTimeout), 1)
		rotated := seen.of(policy.ActionRotate, policy.ReasonEjected)
		require.Len(t, rotated, 1)
		require.Equal(t, "why", rotated[0].Note)
		require.NoError(t, s.Close(t.Context()))
	})
}

func TestCloseWaitsForWhatRunsAndThenCutsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, owner := newMemory(), new(ledger)
		base := m.serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			select {
			case <-time.After(10 * time.Second):
			case <-r.Context().Done():
			}
		}))
		for _, limit := range []time.Duration{time.Minute, time.Second} {
			s := New(Config{Base: base})
			c := &http.Client{Transport: tripper{s, owner}}
			resp, err := c.Do(request(t, "http://upstream/"))
			require.NoError(t, err)
			go func() { // the caller reads on
				_, _ = io.ReadAll(resp.Body)
				resp.Body.Close()
			}()
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			began := time.Now()
			err = s.Close(ctx)
			if limit > 10*time.Second {
				require.NoError(t, err)
				require.Equal(t, 10*time.Second, time.Since(began))
			} else {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, limit, time.Since(began))
			}
			_, err = c.Do(request(t, "http://upstream/"))
			require.ErrorIs(t, err, policy.ErrClosed)
			require.NoError(t, s.Close(ctx), "closing twice")
		}
		synctest.Wait()
		require.Zero(t, m.open.Load())
		require.Equal(t, owner.headers.Load(), owner.ended.Load())
	})
}

// stuck is a connection whose Close hangs.
type stuck struct {
	net.Conn
	until <-chan struct{}
}

func (c stuck) Close() error {
	<-c.until
	return c.Conn.Close()
}

// Pool trap 20.
func TestPoolTrap20HungCloseFreezesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, hour := newMemory(), make(chan struct{})
		time.AfterFunc(time.Hour, func() { close(hour) })
		m.through = func(c net.Conn) net.Conn { return stuck{c, hour} }
		s := New(Config{Base: m.serve(t, echo), IdleTimeout: time.Second})
		began := time.Now()
		for range 3 {
			get(t, client(s), "http://upstream/")
			s.CloseIdle()
			require.Zero(t, time.Since(began))
		}
		get(t, client(s), "http://upstream/")
		time.Sleep(2 * time.Second) // net/http closes it under its lock
		get(t, client(s), "http://upstream/")
		require.Equal(t, 2*time.Second, time.Since(began))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.NoError(t, s.Close(ctx), "nothing was cut")
		require.Equal(t, 4*time.Second, time.Since(began))
		time.Sleep(time.Hour)
		require.Zero(t, s.Stats().Generations)
	})
}
