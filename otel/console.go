package otel

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

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
// Memory is bounded whatever the load: 300 lines of decisions, 76 of one kind at
// most; rates of 64 keys; 16 viewers. Nothing runs in the background. Whether
// anybody looks or not, a decision costs about a hundred nanoseconds if it is a
// routine admission, else some hundred. A part that nobody else uses any longer
// vanishes from the console by itself.
//
// A nil *Console observes nothing and answers with 404; one that is not nil is
// made by [NewConsole].
type Console struct {
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
	_ policy.Enabler        = (*Console)(nil)
	_ policy.ResultObserver = (*Console)(nil)
	_ policy.Watcher        = (*Console)(nil)
)

// NewConsole makes a console. It panics on an option that is invalid.
func NewConsole(opts ...ConsoleOption) *Console {
	c := &Console{
		page:    newPage(),
		traffic: traffic{since: time.Now()},
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

// Enabled reports whether there is a console.
func (c *Console) Enabled(context.Context) bool { return c != nil }

// Observe takes note of a decision.
func (c *Console) Observe(ctx context.Context, d policy.Decision) {
	if c == nil {
		return
	}
	at := ended(d)
	c.traffic.decided(d, at)
	if !routine(d) {
		c.ledger.add(d, at, originOf(ctx).span)
	}
}

// ObserveResult takes note of how a try or a request ended.
func (c *Console) ObserveResult(_ context.Context, r policy.Result) {
	if c != nil {
		c.traffic.ended(r)
	}
}

// Watch shows what statuses yields until stop is called. It is ranged over twice
// a second while somebody looks, less often where that takes long, and not any
// more once it panics. Up to 10,000 things are watched at a time; how many are
// not is said.
func (c *Console) Watch(statuses iter.Seq[policy.Status]) (stop func()) {
	if c == nil {
		return func() {}
	}
	return c.sources.add(statuses)
}

// Close ends the streams to viewers, and begins no more: hand it to
// [http.Server.RegisterOnShutdown], for Shutdown waits for them.
func (c *Console) Close() {
	if c != nil {
		c.closing.Do(func() { close(c.closed) })
	}
}
