package generation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

// mixed answers what the load asks for.
var mixed = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/large":
		_, _ = w.Write(make([]byte, 1<<20))
	case "/slow":
		for range 5 {
			_, _ = io.WriteString(w, "part ")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(4 * time.Millisecond)
		}
	default:
		echo(w, r)
	}
})

// load runs workers until ctx ends and returns the failures that nobody asked
// for, and how many requests went well.
func load(ctx context.Context, c *http.Client, url string, workers int) (failures []error, fine int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				err := one(c, url)
				mu.Lock()
				if err != nil {
					failures = append(failures, err)
				} else {
					fine++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return failures, fine
}

// one sends one request of the mix.
func one(c *http.Client, url string) error {
	switch rand.IntN(8) {
	case 0: // a stream, which cannot be sent again
		return echoed(c, url, io.MultiReader(bytes.NewReader(make([]byte, 20<<10))), 20<<10)
	case 1, 2: // a body that can
		return echoed(c, url, bytes.NewReader(make([]byte, 2<<10)), 2<<10)
	case 3:
		return sized(c, url+"/large", 1<<20)
	case 4:
		return sized(c, url+"/slow", 25)
	case 5: // closed early
		resp, err := c.Get(url + "/large")
		if err != nil {
			return err
		}
		_, err = io.CopyN(io.Discard, resp.Body, 100)
		resp.Body.Close()
		return err
	case 6: // given up
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(8000))*time.Microsecond)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, url+"/slow", nil)
		if _, err := fetch(c, req); err != nil && ctx.Err() == nil {
			return err
		}
		return nil
	}
	return sized(c, url, 0)
}

func echoed(c *http.Client, url string, body io.Reader, size int) error {
	resp, err := c.Post(url, "text/plain", body)
	return drained(resp, err, size)
}

func sized(c *http.Client, url string, size int) error {
	resp, err := c.Get(url)
	return drained(resp, err, size)
}

func drained(resp *http.Response, err error, size int) error {
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && n != int64(size) {
		return fmt.Errorf("%d bytes of %d", n, size)
	}
	return err
}

// Pool trap 4, and 1: no request fails for the age of a connection, and none is
// left open.
func TestPoolTrap04LifetimeFailsNoRequestAndLeaksNoConnection(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"h1", "h1+tls", "h2", "h2c"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			u := newUpstream(t, kind, mixed)
			owner := new(ledger)
			s := New(Config{Base: u.base(), Address: u.address(), MaxLifetime: 100 * time.Millisecond, LifetimeJitter: 0.3})
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			failures, fine := load(ctx, &http.Client{Transport: tripper{s, owner}}, u.URL, 8)
			require.NoError(t, errors.Join(failures[:min(len(failures), 5)]...), "%d failed, %d went well", len(failures), fine)
			require.Greater(t, fine, 50)
			require.Greater(t, u.dialled(), 10, "connections were not renewed")
			u.requireDrained(t, s)
			require.Equal(t, owner.headers.Load(), owner.ended.Load())
		})
	}
}

// Pool trap 1.
func TestPoolTrap01RotationUnderLoadLeaksNoConnection(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"h1", "h1+tls", "h2"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			u := newUpstream(t, kind, mixed)
			s := New(Config{Base: u.base(), Address: u.address()})
			ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
			defer cancel()
			go func() {
				for tick := time.NewTicker(20 * time.Millisecond); ; {
					select {
					case <-tick.C:
						s.Rotate(ctx, policy.ReasonRotated, "")
					case <-ctx.Done():
						tick.Stop()
						return
					}
				}
			}()
			failures, fine := load(ctx, client(s), u.URL, 8)
			require.NoError(t, errors.Join(failures[:min(len(failures), 5)]...), "%d failed, %d went well", len(failures), fine)
			require.Greater(t, fine, 8) // a handshake each, and a busy machine
			u.requireDrained(t, s)
			require.Zero(t, s.Stats().Generations)
		})
	}
}
