package otel

import (
	"hash/maphash"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// endpoint is what the tries that share their names and first attributes have
// in common. The parts are as in the request.
type endpoint struct {
	method   string // known, or _OTHER
	scheme   string
	host     string // with its port, if it has one
	template string
}

// target is what can be built once for an endpoint.
type target struct {
	endpoint endpoint
	common   []attribute.KeyValue

	callName, attemptName   string
	callStart, attemptStart []trace.SpanStartOption

	endings recent[*ending]
}

// ending is what tries with one result share. Nobody changes it: an SDK copies
// the attributes that it is given.
type ending struct {
	result   result
	shown    []attribute.KeyValue // on spans
	measured []metric.RecordOption
}

func newTarget(e endpoint) *target {
	t := &target{endpoint: e, common: e.attributes()}
	name := e.method
	if name == methodOther {
		name = "HTTP"
	}
	t.callName = "call " + name
	t.callStart = []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindInternal),
		trace.WithAttributes(t.common...),
	}
	t.attemptName = name
	if e.template != "" {
		t.attemptName += " " + e.template
		t.common = append(t.common, semconv.URLTemplate(e.template))
	}
	t.attemptStart = []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(t.common...),
	}
	return t
}

func (e endpoint) attributes() []attribute.KeyValue {
	u := url.URL{Host: e.host}
	attrs := []attribute.KeyValue{
		semconv.HTTPRequestMethodKey.String(e.method),
		semconv.ServerAddress(u.Hostname()),
	}
	port, err := strconv.Atoi(u.Port())
	switch {
	case err == nil:
	case e.scheme == "https":
		port = 443
	case e.scheme == "http":
		port = 80
	default:
		return attrs
	}
	return append(attrs, semconv.ServerPort(port))
}

func (t *target) ending(r result) *ending {
	for _, e := range t.endings.all() {
		if e.result == r {
			return e
		}
	}
	attrs := slices.Concat(t.common, r.attributes()) // a set sorts what it is made of
	e := &ending{r, slices.Clip(r.shown()), recordWith(attrs)}
	t.endings.add(e)
	return e
}

// targets remembers targets in a fixed number of places. One that finds its
// place taken replaces the one there, so hosts without bound cost time, never
// memory.
type targets struct {
	places [512]atomic.Pointer[target]
}

var seed = maphash.MakeSeed()

func (ts *targets) of(e endpoint) *target {
	place := &ts.places[maphash.Comparable(seed, e)%uint64(len(ts.places))]
	if t := place.Load(); t != nil && t.endpoint == e {
		return t
	}
	t := newTarget(e)
	place.Store(t)
	return t
}
