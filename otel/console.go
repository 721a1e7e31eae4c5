package otel

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/policy"
)

// Console shows live, on one page, how all that it watches stands and what was
// decided last: breakers, limits, retry budgets, pools, endpoints, decisions with
// their reasons, and the rates and times of the last minute.
//
// It is a [policy.Observer]: hand it with WithObserver to transports, middleware,
// pools and policies, beside their telemetry. And it is an [http.Handler]: mount
// it at any path. On that path it answers with the page; with the page's data,
// twice a second, where text/event-stream is accepted; and with them once where
// application/json is, as in
//
//	curl -H 'Accept: application/json' http://localhost:8080/debug/magnetar
//
// The console only reads; but it tells the names of hosts and routes and the
// texts of errors, so mount it where only operators come. The page needs nothing
// from elsewhere, and its content security policy allows nothing else.
//
// Memory is bounded whatever the load: 300 lines of decisions, rates of 64 keys,
// 16 viewers. Nothing runs in the background, and where nobody looks a decision
// costs some hundred nanoseconds. A part that nobody else uses any longer
// vanishes from the console by itself.
type Console struct {
	started  time.Time
	traceURL string
	page     page
	traffic  traffic
	ledger   ledger
	sources  sources
	frames   frames
	viewers  chan struct{} // a place for each
	closing  sync.Once
	closed   chan struct{}
}

var (
	_ http.Handler          = (*Console)(nil)
	_ policy.Observer       = (*Console)(nil)
	_ policy.ResultObserver = (*Console)(nil)
	_ policy.Watcher        = (*Console)(nil)
)

// NewConsole makes a console. It panics on an option that is invalid.
func NewConsole(opts ...ConsoleOption) *Console {
	c := &Console{
		started: time.Now(),
		page:    newPage(),
		viewers: make(chan struct{}, viewersMax),
		closed:  make(chan struct{}),
	}
	for _, o := range opts {
		o.console(c)
	}
	return c
}

// ConsoleOption configures a [Console]. The set is closed.
type ConsoleOption interface{ console(*Console) }

type consoleOption func(*Console)

func (f consoleOption) console(c *Console) { f(c) }

const traceIDPlace = "{trace_id}"

// WithTraceURL makes the trace ids of sampled traces links, {trace_id} standing
// for the id: "http://localhost:16686/trace/{trace_id}" for Jaeger. It must be an
// absolute http or https URL. Default: no links.
func WithTraceURL(template string) ConsoleOption {
	return consoleOption(func(c *Console) {
		if err := validateTraceURL(template); err != nil {
			panic(fmt.Errorf("magnetar: invalid trace URL: %q: %w", template, err))
		}
		c.traceURL = template
	})
}

func validateTraceURL(template string) error {
	u, err := url.Parse(strings.ReplaceAll(template, traceIDPlace, "0"))
	switch {
	case err != nil:
		return err
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return errors.New("must begin with http:// or https:// and a host")
	case !strings.Contains(template, traceIDPlace):
		return errors.New("must contain " + traceIDPlace)
	}
	return nil
}

// Observe takes note of a decision.
func (c *Console) Observe(ctx context.Context, d policy.Decision) {
	at := ended(d)
	c.traffic.decided(d, at)
	if !routine(d) {
		c.ledger.add(d, at, spanOf(ctx))
	}
}

// ObserveResult takes note of how a try or a request ended.
func (c *Console) ObserveResult(_ context.Context, r policy.Result) { c.traffic.ended(r) }

// Watch shows what statuses yields until stop is called. It is ranged over twice
// a second while somebody looks, and must be quick. Up to 10,000 things are
// watched at a time.
func (c *Console) Watch(statuses iter.Seq[policy.Status]) (stop func()) {
	return c.sources.add(statuses)
}

// Close ends what the viewers are being sent, and sends nothing from then on:
// hand it to [http.Server.RegisterOnShutdown], for Shutdown waits for them.
func (c *Console) Close() { c.closing.Do(func() { close(c.closed) }) }

// spanOf is the span that a decision belongs to, or that led to it in the
// background.
func spanOf(ctx context.Context) trace.SpanContext {
	if cause, background := causeOf(ctx); background {
		return cause
	}
	return trace.SpanContextFromContext(ctx)
}

// sources are what the console looks at.
type sources struct {
	mu   sync.Mutex
	last uint64
	byID map[uint64]iter.Seq[policy.Status]
}

const sourcesMax = 10_000

func (s *sources) add(statuses iter.Seq[policy.Status]) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byID) >= sourcesMax {
		return func() {}
	}
	if s.byID == nil {
		s.byID = make(map[uint64]iter.Seq[policy.Status])
	}
	s.last++
	id := s.last
	s.byID[id] = statuses
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.byID, id)
	}
}

func (s *sources) list() []iter.Seq[policy.Status] {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]iter.Seq[policy.Status], 0, len(s.byID))
	for _, id := range slices.Sorted(maps.Keys(s.byID)) {
		list = append(list, s.byID[id])
	}
	return list
}

// all yields every status of every source, in the order of their coming.
func (s *sources) all() iter.Seq[policy.Status] {
	return func(yield func(policy.Status) bool) {
		for _, statuses := range s.list() {
			for status := range statuses {
				if !yield(status) {
					return
				}
			}
		}
	}
}
