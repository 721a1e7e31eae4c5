//go:build linux

package main

import (
	"bytes"
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
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
	"github.com/magnetar-go/magnetar/policy"
)

// patience is more than a slow machine needs, where it is not the matter.
const patience = 20 * time.Second

// bench is a service that runs, on top of what a test may break.
type bench struct {
	*service
	url, admin string
	client     *http.Client
	prices     *backend
	stock      *backend
	log        *log
	spans      *tracetest.InMemoryExporter
	repeated   atomic.Int64 // tries

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

// log is what the service logs.
type log struct {
	mu    sync.Mutex
	lines bytes.Buffer // guarded by mu
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

// begin runs a service as the committed file says, but for what the test changes.
// It counts for itself, unless the test says otherwise.
func begin(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	anywhere(t)
	cfg, err := loadConfig("service.yaml")
	require.NoError(t, err)
	b := &bench{
		prices: &backend{}, stock: &backend{}, log: &log{}, spans: tracetest.NewInMemoryExporter(),
		ended: make(chan error, 1), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
	}
	t.Cleanup(b.client.CloseIdleConnections)
	for u, h := range map[*Upstream]*backend{&cfg.Upstreams.Prices: b.prices, &cfg.Upstreams.Stock: b.stock} {
		srv, err := demo.Serve(t.Context(), h)
		require.NoError(t, err)
		t.Cleanup(srv.Close)
		u.URL = srv.URL
	}
	cfg.Shared = nil
	// A slow machine may take its time, but where a test says otherwise.
	cfg.Inbound.Deadline.Max = patience
	cfg.Upstreams.Prices.Calls.Timeouts.Attempt = 5 * time.Second
	cfg.Upstreams.Prices.Calls.Timeouts.Total = 10 * time.Second
	cfg.Upstreams.Stock.Calls.Timeouts.Total = 10 * time.Second
	cfg.Database.Pool.AcquireTimeout = 10 * time.Second
	cfg.Database.Timeout = 10 * time.Second
	if change != nil {
		change(&cfg)
	}
	if cfg.Database.URL == "" {
		cfg.Database.URL = urlOf(postgreSQL(t))
	}
	require.NoError(t, cfg.Validate())

	l, err := listen(t.Context(), cfg)
	require.NoError(t, err)
	b.url, b.admin = "http://"+l.public.Addr().String(), "http://"+l.admin.Addr().String()
	telemetry, err := newTelemetry(t.Context(), b.log)
	require.NoError(t, err)
	telemetry.spans.RegisterSpanProcessor(trace.NewSimpleSpanProcessor(b.spans))
	telemetry.others = policy.Observers(telemetry.others, policy.ObserverFunc(b.observe))
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

func (b *bench) observe(_ context.Context, d policy.Decision) {
	if d.Policy == policy.PolicyRetry && d.Action == policy.ActionWait {
		b.repeated.Add(1)
	}
}

// reply is what somebody got.
type reply struct {
	status int
	body   string
	header http.Header
}

func (b *bench) do(t *testing.T, method, url string, header http.Header) reply {
	t.Helper()
	r, err := b.ask(method, url, header)
	require.NoError(t, err)
	return r
}

func (b *bench) ask(method, url string, header http.Header) (reply, error) {
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		return reply{}, err
	}
	if header != nil {
		req.Header = header
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, string(body), resp.Header}, err
}

func (b *bench) get(t *testing.T, url string) reply {
	t.Helper()
	return b.do(t, http.MethodGet, url, nil)
}

func (b *bench) product(t *testing.T, id string) reply {
	t.Helper()
	return b.get(t, b.url+"/products/"+id)
}

// buy orders a product, with a key unless that is "".
func (b *bench) buy(t *testing.T, product, key string) reply {
	t.Helper()
	return b.do(t, http.MethodPost, b.url+"/products/"+product+"/orders", keyed(key))
}

func keyed(key string) http.Header {
	if key == "" {
		return nil
	}
	return http.Header{"Idempotency-Key": {key}}
}

// frame is what the console shows.
func (b *bench) frame(t *testing.T) string {
	t.Helper()
	r := b.do(t, http.MethodGet, b.admin+consolePath, http.Header{"Accept": {"application/json"}})
	require.True(t, json.Valid([]byte(r.body)))
	return r.body
}

// requireWell is what no trouble behind the service changes.
func (b *bench) requireWell(t *testing.T) {
	t.Helper()
	for _, path := range []string{"/healthz", "/readyz"} {
		require.Equal(t, http.StatusNoContent, b.get(t, b.url+path).status, path)
	}
}

// requireTriedLater is what a client is told that may come back.
func requireTriedLater(t *testing.T, r reply) {
	t.Helper()
	require.Equal(t, http.StatusServiceUnavailable, r.status, r.body)
	require.Equal(t, "1", r.header.Get("Retry-After"))
	require.Equal(t, "try again later\n", r.body)
}

// requireUntold is that nobody was told a secret.
func (b *bench) requireUntold(t *testing.T, secret string) {
	t.Helper()
	require.NotContains(t, b.log.String(), secret)
	require.NotContains(t, b.frame(t), secret)
	spans := b.spans.GetSpans()
	require.NotEmpty(t, spans)
	require.NotContains(t, fmt.Sprintf("%+v", spans), secret)
}
