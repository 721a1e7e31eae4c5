package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
	"github.com/magnetar-go/magnetar/policy"
)

// bench is a service that runs, on top of what a test may break.
type bench struct {
	*service
	url, admin string
	client     *http.Client
	base       *base
	prices     *backend
	stock      *backend

	stop  context.CancelFunc
	ended chan error
}

// backend answers with a number, unless a test has it do something else.
type backend struct {
	requests atomic.Int64
	instead  atomic.Pointer[http.HandlerFunc]
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.requests.Add(1)
	if instead := b.instead.Load(); instead != nil {
		(*instead)(w, r)
		return
	}
	fmt.Fprint(w, 7)
}

func (b *backend) does(f http.HandlerFunc) { b.instead.Store(&f) }

// fails has the backend answer with a status.
func (b *backend) fails(status int) {
	b.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}

// begin runs a service as the committed file says, but for what the test changes.
func begin(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	anywhere(t)
	cfg, err := loadConfig("service.yaml")
	require.NoError(t, err)
	b := &bench{prices: &backend{}, stock: &backend{}, ended: make(chan error, 1), client: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(b.client.CloseIdleConnections)
	for u, h := range map[*Upstream]*backend{&cfg.Upstreams.Prices: b.prices, &cfg.Upstreams.Stock: b.stock} {
		srv, err := demo.Serve(t.Context(), h)
		require.NoError(t, err)
		t.Cleanup(srv.Close)
		u.URL = srv.URL
	}
	b.base, err = startBase(t.Context())
	require.NoError(t, err)
	t.Cleanup(b.base.close)
	cfg.Database.Address = b.base.listener.Addr().String()
	// A slow machine may take its time, but where a test says otherwise.
	cfg.Inbound.Deadline.Max = 20 * time.Second
	cfg.Upstreams.Prices.Calls.Timeouts.Attempt = 5 * time.Second
	cfg.Upstreams.Prices.Calls.Timeouts.Total = 10 * time.Second
	cfg.Upstreams.Stock.Calls.Timeouts.Total = 10 * time.Second
	cfg.Database.Sessions.AcquireTimeout = 5 * time.Second
	if change != nil {
		change(&cfg)
	}
	require.NoError(t, cfg.Validate())

	l, err := listen(t.Context(), cfg)
	require.NoError(t, err)
	b.url, b.admin = "http://"+l.public.Addr().String(), "http://"+l.admin.Addr().String()
	telemetry, err := newTelemetry(t.Context(), io.Discard)
	require.NoError(t, err)
	b.service, err = newService(cfg, telemetry)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	b.stop = stop
	go func() { b.ended <- b.serve(ctx, l, cfg.StopWithin) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-b.ended)
		close(b.ended)
	})
	return b
}

func (b *bench) get(t *testing.T, url string) (int, string, http.Header) {
	t.Helper()
	resp, err := b.client.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body), resp.Header
}

func (b *bench) product(t *testing.T, id string) (int, string) {
	t.Helper()
	status, body, _ := b.get(t, b.url+"/products/"+id)
	return status, body
}

func TestProductIsAnsweredFromAllThree(t *testing.T) {
	b := begin(t, nil)
	status, body := b.product(t, "42")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"id":"42","name":"product 42","price":7,"stock":7}`, body)

	status, body = b.product(t, "4242")
	require.Equal(t, http.StatusNotFound, status)
	require.Equal(t, "no such product\n", body)
	require.Equal(t, int64(1), b.prices.requests.Load(), "nobody asks what it costs")
	for _, path := range []string{"/products/x", "/products/4%0A2", "/nowhere", consolePath} {
		status, _, _ = b.get(t, b.url+path)
		require.Equal(t, http.StatusNotFound, status, path)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		status, _, _ = b.get(t, b.url+path)
		require.Equal(t, http.StatusNoContent, status, path)
	}
}

func TestUpstreamThatFailsOnceIsAskedAgain(t *testing.T) {
	b := begin(t, nil)
	b.prices.does(func(w http.ResponseWriter, _ *http.Request) {
		b.prices.instead.Store(nil)
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	status, body := b.product(t, "42")
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, int64(2), b.prices.requests.Load())
}

func TestShopSellsWithoutKnowingItsStock(t *testing.T) {
	b := begin(t, nil)
	b.stock.fails(http.StatusInternalServerError)
	status, body := b.product(t, "42")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"id":"42","name":"product 42","price":7,"stock":null}`, body)
	require.Equal(t, int64(1), b.stock.requests.Load(), "it is not asked twice")
}

func TestUpstreamThatStaysDownIsLeftAlone(t *testing.T) {
	b := begin(t, func(cfg *Config) {
		cfg.Upstreams.Prices.Calls.Breaker = &policy.CircuitBreakerConfig{FailureThreshold: 4, Cooldown: time.Hour}
	})
	b.prices.fails(http.StatusInternalServerError)
	statuses := make(map[int]int)
	for range 20 {
		resp, err := b.client.Get(b.url + "/products/42")
		require.NoError(t, err)
		if resp.StatusCode == http.StatusServiceUnavailable {
			require.Equal(t, "1", resp.Header.Get("Retry-After"))
		}
		resp.Body.Close()
		statuses[resp.StatusCode]++
	}
	require.Equal(t, 20, statuses[http.StatusBadGateway]+statuses[http.StatusServiceUnavailable], statuses)
	require.GreaterOrEqual(t, statuses[http.StatusServiceUnavailable], 16, statuses)
	require.LessOrEqual(t, b.prices.requests.Load(), int64(4))
}

func TestDatabaseThatDropsItsSessionsIsAskedAgain(t *testing.T) {
	b := begin(t, nil)
	for range 5 {
		status, body := b.product(t, "42")
		require.Equal(t, http.StatusOK, status, body)
		b.base.drop()
	}
}

func TestEachPeerHasItsQuota(t *testing.T) {
	b := begin(t, func(cfg *Config) { cfg.Inbound.RateLimit = &policy.RateLimiterConfig{Limit: 2, Per: time.Hour} })
	for range 2 {
		status, _ := b.product(t, "42")
		require.Equal(t, http.StatusOK, status)
	}
	status, _, header := b.get(t, b.url+"/products/42")
	require.Equal(t, http.StatusTooManyRequests, status)
	require.NotEmpty(t, header.Get("Retry-After"))
	status, _, _ = b.get(t, b.url+"/healthz")
	require.Equal(t, http.StatusNoContent, status)
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
	go func() { first <- ask(b.client, b.url+"/products/42") }()
	<-asked
	status, _, header := b.get(t, b.url+"/products/42")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.NotEmpty(t, header.Get("Retry-After"))
	status, _, _ = b.get(t, b.url+"/readyz")
	require.Equal(t, http.StatusNoContent, status)
	let()
	require.Equal(t, http.StatusOK, <-first)
}

func TestRequestWhoseTimeIsUpIsAnswered(t *testing.T) {
	b := begin(t, func(cfg *Config) { cfg.Inbound.Deadline.Max = 100 * time.Millisecond })
	b.hold(t)
	status, _ := b.product(t, "42")
	require.Equal(t, http.StatusGatewayTimeout, status)
}

// Who is in is answered, from all that answers come from; nobody else gets in,
// readiness says so first, and the console is there to be looked at.
func TestServiceStopsInOrder(t *testing.T) {
	b := begin(t, nil)
	asked, let := b.hold(t)
	answer := make(chan int, 1)
	go func() { answer <- ask(b.client, b.url+"/products/42") }()
	<-asked
	b.stop()
	require.Eventually(t, func() bool { return b.shedder.Stats().Draining }, 10*time.Second, time.Millisecond)
	status, _, _ := b.get(t, b.url+"/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	status, _ = b.product(t, "42")
	require.Equal(t, http.StatusServiceUnavailable, status)
	status, _, _ = b.get(t, b.admin+consolePath)
	require.Equal(t, http.StatusOK, status)
	let()
	require.Equal(t, http.StatusOK, <-answer)
	require.NoError(t, <-b.ended)
	_, err := b.database.name(t.Context(), "42")
	require.ErrorIs(t, err, policy.ErrClosed)
	require.ErrorIs(t, b.service.prices.get(t.Context(), new(int), "prices"), policy.ErrClosed)
	b.ended <- nil // for who waits at the end
}

func TestConsoleShowsAllParts(t *testing.T) {
	b := begin(t, nil)
	status, body := b.product(t, "42")
	require.Equal(t, http.StatusOK, status, body)
	req, err := http.NewRequest(http.MethodGet, b.admin+consolePath, nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "application/json")
	resp, err := b.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	frame, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.True(t, json.Valid(frame))
	for _, part := range []string{`"database"`, b.service.prices.base.String(), b.service.stock.base.String(), `"shed"`} {
		require.Contains(t, string(frame), part)
	}
}
