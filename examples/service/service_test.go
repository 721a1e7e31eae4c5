//go:build linux

package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
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
	require.ErrorIs(t, b.service.prices.get(t.Context(), new(int), "prices"), policy.ErrClosed)
	require.ErrorIs(t, b.shared.client.Ping(t.Context()).Err(), redis.ErrClosed)
	b.ended <- nil // for who waits at the end
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
