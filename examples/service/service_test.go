//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/redisd"
	"github.com/magnetar-go/magnetar/policy"
)

func TestProductIsAnsweredFromAllThree(t *testing.T) {
	b := begin(t, nil)
	r := b.product(t, "42")
	require.Equal(t, http.StatusOK, r.status, r.body)
	require.JSONEq(t, `{"id":"42","name":"product 42","price":7,"stock":7}`, r.body)

	for _, path := range []string{"/products/4242", "/products/" + strings.Repeat("9", 99), "/orders/none"} {
		r = b.get(t, b.url+path)
		require.Equal(t, http.StatusNotFound, r.status, path)
		require.Equal(t, "no such thing\n", r.body)
	}
	require.Equal(t, int64(1), b.prices.requests.Load(), "nobody asks what it costs")
	for _, path := range []string{"/products/x", "/products/4%0A2", "/nowhere", consolePath} {
		require.Equal(t, http.StatusNotFound, b.get(t, b.url+path).status, path)
	}
	b.requireWell(t)
}

func TestUpstreamThatFailsOnceIsAskedAgain(t *testing.T) {
	b := begin(t, nil)
	b.prices.does(func(w http.ResponseWriter, _ *http.Request) {
		b.prices.instead.Store(nil)
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	r := b.product(t, "42")
	require.Equal(t, http.StatusOK, r.status, r.body)
	require.Equal(t, int64(2), b.prices.requests.Load())
}

func TestShopSellsWithoutKnowingItsStock(t *testing.T) {
	b := begin(t, nil)
	b.stock.fails(http.StatusInternalServerError)
	r := b.product(t, "42")
	require.Equal(t, http.StatusOK, r.status, r.body)
	require.JSONEq(t, `{"id":"42","name":"product 42","price":7,"stock":null}`, r.body)
	require.Equal(t, int64(1), b.stock.requests.Load(), "it is not asked twice")
}

func TestAnswerOfAnUpstreamIsANumber(t *testing.T) {
	b := begin(t, nil)
	for _, answer := range []string{"null", "-5", "7 8", "7.5", `"7"`, "{}", "[7]", "", "99999999999999999999", strings.Repeat("7", 2<<20)} {
		instead := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) }
		b.stock.does(instead)
		r := b.product(t, "42")
		require.Equal(t, http.StatusOK, r.status, r.body)
		require.JSONEq(t, `{"id":"42","name":"product 42","price":7,"stock":null}`, r.body, "%.20q", answer)
		b.prices.does(instead)
		require.Equal(t, http.StatusBadGateway, b.product(t, "42").status, "%.20q", answer)
		b.prices.instead.Store(nil)
	}
}

func TestTraceGoesThroughTheService(t *testing.T) {
	b := begin(t, nil)
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	var got atomic.Pointer[string]
	b.prices.does(func(w http.ResponseWriter, r *http.Request) {
		parent := r.Header.Get("Traceparent")
		got.Store(&parent)
		fmt.Fprint(w, 7)
	})
	r := b.do(t, http.MethodGet, b.url+"/products/42", http.Header{"Traceparent": {"00-" + id + "-00f067aa0ba902b7-01"}})
	require.Equal(t, http.StatusOK, r.status, r.body)
	require.Contains(t, *got.Load(), "00-"+id+"-")
	names := map[string]bool{}
	require.Eventually(t, func() bool {
		for _, span := range b.spans.GetSpans() {
			if span.SpanContext.TraceID().String() == id {
				names[span.Name] = true
			}
		}
		return names["GET /products/{id:[0-9]+}"] && names["call GET"] && names["GET"]
	}, patience, time.Millisecond)
}

func TestUpstreamThatStaysDownIsLeftAlone(t *testing.T) {
	b := begin(t, func(cfg *Config) {
		cfg.Upstreams.Prices.Calls.Breaker = &policy.CircuitBreakerConfig{FailureThreshold: 4, Cooldown: time.Hour}
	})
	b.prices.fails(http.StatusInternalServerError)
	statuses := make(map[int]int)
	for range 20 {
		r := b.product(t, "42")
		if r.status == http.StatusServiceUnavailable {
			requireTriedLater(t, r)
		}
		statuses[r.status]++
	}
	require.Equal(t, 20, statuses[http.StatusBadGateway]+statuses[http.StatusServiceUnavailable], statuses)
	require.GreaterOrEqual(t, statuses[http.StatusServiceUnavailable], 16, statuses)
	require.LessOrEqual(t, b.prices.requests.Load(), int64(4))
}

func TestEachPeerHasItsQuota(t *testing.T) {
	b := begin(t, func(cfg *Config) { cfg.Inbound.RateLimit = &policy.RateLimiterConfig{Limit: 2, Per: time.Hour} })
	for range 2 {
		require.Equal(t, http.StatusOK, b.product(t, "42").status)
	}
	r := b.product(t, "42")
	require.Equal(t, http.StatusTooManyRequests, r.status)
	require.NotEmpty(t, r.header.Get("Retry-After"))
	b.requireWell(t)
}

// hold has the prices answer only when the test lets them.
func (b *bench) hold(t *testing.T) (asked <-chan struct{}, let func()) {
	t.Helper()
	came, held := make(chan struct{}, 16), make(chan struct{})
	b.prices.does(func(w http.ResponseWriter, r *http.Request) {
		came <- struct{}{}
		select {
		case <-held:
			fmt.Fprint(w, 7)
		case <-r.Context().Done():
		}
	})
	let = sync.OnceFunc(func() { close(held) })
	t.Cleanup(let)
	return came, let
}

func TestOverloadIsRefused(t *testing.T) {
	b := begin(t, func(cfg *Config) { cfg.Inbound.Shed = policy.ConcurrencyConfig{Limit: 1} })
	asked, let := b.hold(t)
	first := make(chan int, 1)
	go func() { first <- ask(b.client, http.MethodGet, b.url+"/products/42") }()
	<-asked
	r := b.product(t, "42")
	require.Equal(t, http.StatusServiceUnavailable, r.status)
	require.NotEmpty(t, r.header.Get("Retry-After"))
	b.requireWell(t)
	let()
	require.Equal(t, http.StatusOK, <-first)
}

func TestRequestWhoseTimeIsUpIsAnswered(t *testing.T) {
	b := begin(t, func(cfg *Config) { cfg.Inbound.Deadline.Max = 100 * time.Millisecond })
	b.hold(t)
	require.Equal(t, http.StatusGatewayTimeout, b.product(t, "42").status)
}

// Who is in is answered, from all that answers come from; nobody else gets in,
// readiness says so first, and the console is there to be looked at.
func TestServiceStopsInOrder(t *testing.T) {
	b := begin(t, func(cfg *Config) { cfg.Shared = &Shared{URL: "redis://" + redisd.Start(t).Address()} })
	asked, let := b.hold(t)
	answer := make(chan int, 1)
	go func() { answer <- ask(b.client, http.MethodGet, b.url+"/products/42") }()
	<-asked
	b.stop()
	require.Eventually(t, func() bool { return b.shedder.Stats().Draining }, 10*time.Second, time.Millisecond)
	require.Equal(t, http.StatusServiceUnavailable, b.get(t, b.url+"/readyz").status)
	require.Equal(t, http.StatusServiceUnavailable, b.product(t, "42").status)
	require.Equal(t, http.StatusOK, b.get(t, b.admin+consolePath).status)
	let()
	require.Equal(t, http.StatusOK, <-answer)
	require.NoError(t, <-b.ended)
	_, err := b.database.name(t.Context(), "42")
	require.ErrorIs(t, err, policy.ErrClosed)
	_, err = b.service.prices.number(t.Context(), "prices")
	require.ErrorIs(t, err, policy.ErrClosed)
	require.ErrorIs(t, b.shared.client.Ping(t.Context()).Err(), redis.ErrClosed)
	_, span := b.telemetry.spans.Tracer("").Start(t.Context(), "late")
	require.False(t, span.IsRecording(), "what there was to export has been")
	b.ended <- nil // for who waits at the end
}

func TestWhoLooksAtTheConsoleKeepsNobody(t *testing.T) {
	b := begin(t, nil)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.admin+consolePath, nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := b.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	b.stop()
	require.NoError(t, <-b.ended)
	b.ended <- nil
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
}

func TestUpstreamThatCannotBeReachedIsTriedLater(t *testing.T) {
	b := begin(t, func(cfg *Config) { cfg.Upstreams.Prices.URL = "http://127.0.0.1:1" })
	for range 40 {
		requireTriedLater(t, b.product(t, "42"))
	}
}

func TestComplaintsAreNoFlood(t *testing.T) {
	b := begin(t, many)
	b.prices.does(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "free") })
	began := time.Now()
	for range 100 {
		require.Equal(t, http.StatusBadGateway, b.product(t, "42").status)
	}
	lines := strings.Count(b.log.String(), "not answered")
	require.Positive(t, lines)
	require.LessOrEqual(t, lines, 5*(2+int(time.Since(began)/time.Second)))
	require.Regexp(t, `"not answered","path":"/products/42",.*"trace_id":"[0-9a-f]{32}"`, b.log.String())
}

// A client that owes the body of its request keeps nobody from stopping in order.
func TestClientThatSendsNoBodyIsCut(t *testing.T) {
	b := begin(t, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST /products/42/orders HTTP/1.1\r\nHost: shop\r\nContent-Length: 100\r\n\r\n")
	require.NoError(t, err)
	purchased := b.database.Stats().Acquires
	require.Eventually(t, func() bool { return b.database.Stats().Acquires > purchased }, patience, time.Millisecond)
	b.stop()
	require.NoError(t, <-b.ended)
	b.ended <- nil
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(answer), "HTTP/1.1 201 Created", "it was placed, so it is told to be")
}

func TestConsoleShowsAllParts(t *testing.T) {
	b := begin(t, func(cfg *Config) { cfg.Shared = &Shared{URL: "redis://" + redisd.Start(t).Address()} })
	r := b.product(t, "42")
	require.Equal(t, http.StatusOK, r.status, r.body)
	frame := b.frame(t)
	parts := []string{`/shop"`, b.service.prices.base.String(), b.service.stock.base.String(), `"shed"`, `"redis"`, `"prices"`}
	for _, part := range parts {
		require.Contains(t, frame, part)
	}
}
