package otel

import (
	"maps"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/policy"
)

// kind is what is told apart in the metrics of decisions.
type kind struct {
	policy   string
	action   policy.Action
	reason   policy.Reason
	route    string
	priority string // empty where the policy does not look at it
	shadow   bool
}

func kindOf(d policy.Decision) kind {
	return kind{d.Policy, d.Action, d.Reason, d.Route, priorityOf(d), d.Shadow}
}

// priorityOf is empty where the policy did not look at the priority: normal is
// also what those leave.
func priorityOf(d policy.Decision) string {
	if d.Policy != policy.PolicyShed && d.Priority == policy.Normal {
		return ""
	}
	return d.Priority.String()
}

// series is what decisions of one kind share, built once.
type series struct {
	kind  kind
	name  string // of spans
	start []trace.SpanStartOption

	// Options of measurements.

	decision []metric.AddOption    // all of the kind
	wait     []metric.RecordOption // policy, action, priority
	policy   []metric.RecordOption // policy
}

func newSeries(k kind) *series {
	attrs := []attribute.KeyValue{keyPolicy.String(k.policy)}
	s := &series{kind: k, name: "magnetar." + k.policy + "." + string(k.action)}
	s.policy = recordWith(attrs)
	attrs = append(attrs, keyAction.String(string(k.action)))
	if k.priority != "" {
		attrs = append(attrs, keyPriority.String(k.priority))
	}
	s.wait = recordWith(attrs)
	if k.reason != "" {
		attrs = append(attrs, keyReason.String(string(k.reason)))
	}
	if k.route != "" {
		attrs = append(attrs, semconv.HTTPRoute(k.route))
	}
	if k.shadow {
		attrs = append(attrs, keyShadow.Bool(true))
	}
	s.decision = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attrs...))}
	s.start = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindInternal), trace.WithAttributes(attrs...)}
	return s
}

func recordWith(attrs []attribute.KeyValue) []metric.RecordOption {
	return []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attrs...))}
}

const (
	seriesMax = 1000 // kinds without a route
	routedMax = 900  // kinds with one: an SDK keeps 2,000 series of a metric
)

const other = "_OTHER"

// others is the series of kinds beyond seriesMax. The kit's own are far fewer,
// but users' policies may make theirs of anything.
var others = newSeries(kind{policy: other, action: other})

// decisions has a series for every kind met.
type decisions struct {
	routed    catalog
	routeless catalog
}

func (ds *decisions) of(d policy.Decision) *series {
	k := kindOf(d)
	if k.route != "" {
		if s := ds.routed.of(k, routedMax); s != nil {
			return s
		}
		k.route = other
	}
	if s := ds.routeless.of(k, seriesMax); s != nil {
		return s
	}
	return others
}

// catalog has the series of up to a number of kinds. To look one up takes no
// lock and allocates nothing.
type catalog struct {
	byKind atomic.Pointer[map[kind]*series] // a new map for each addition
	adding sync.Mutex
}

// of returns nil for a kind that is beyond the bound.
func (c *catalog) of(k kind, bound int) *series {
	if s, ok := c.known()[k]; ok {
		return s
	}
	return c.add(k, bound)
}

func (c *catalog) known() map[kind]*series {
	if m := c.byKind.Load(); m != nil {
		return *m
	}
	return nil
}

func (c *catalog) add(k kind, bound int) *series {
	if len(c.known()) >= bound {
		return nil // it stays full, so no lock is needed
	}
	c.adding.Lock()
	defer c.adding.Unlock()
	known := maps.Clone(c.known())
	if known == nil {
		known = make(map[kind]*series)
	}
	if s, ok := known[k]; ok || len(known) >= bound {
		return s
	}
	s := newSeries(k)
	known[k] = s
	c.byKind.Store(&known)
	return s
}
