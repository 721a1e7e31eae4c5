package otel

import (
	"maps"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/magnetar-go/magnetar/policy"
)

// kind is what is told apart in the metrics of decisions.
type kind struct {
	policy string
	action policy.Action
	reason policy.Reason
}

// series is what decisions of one kind share, built once.
type series struct {
	name   string // of spans
	common []attribute.KeyValue

	// Options of measurements.

	decision []metric.AddOption    // policy, action, reason
	wait     []metric.RecordOption // policy, action
	policy   []metric.RecordOption // policy
}

func newSeries(k kind) *series {
	s := &series{
		name:   "magnetar." + k.policy + "." + string(k.action),
		common: []attribute.KeyValue{keyPolicy.String(k.policy), keyAction.String(string(k.action))},
	}
	s.policy = []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(keyPolicy.String(k.policy)))}
	s.wait = []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(s.common...))}
	if k.reason != "" {
		s.common = append(s.common, keyReason.String(string(k.reason)))
	}
	s.decision = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(s.common...))}
	return s
}

const seriesMax = 1000

// others is the series of kinds beyond seriesMax. The kit's own are far fewer,
// but users' policies may make theirs of anything.
var others = newSeries(kind{policy: "_OTHER", action: "_OTHER"})

// decisions has a series for every kind met. To look one up takes no lock and
// allocates nothing.
type decisions struct {
	byKind atomic.Pointer[map[kind]*series] // a new map for each addition
	adding sync.Mutex
}

func (ds *decisions) of(d policy.Decision) *series {
	k := kind{d.Policy, d.Action, d.Reason}
	known := ds.known()
	if s, ok := known[k]; ok {
		return s
	}
	if len(known) >= seriesMax {
		return others
	}
	return ds.add(k)
}

func (ds *decisions) known() map[kind]*series {
	if m := ds.byKind.Load(); m != nil {
		return *m
	}
	return nil
}

func (ds *decisions) add(k kind) *series {
	ds.adding.Lock()
	defer ds.adding.Unlock()
	known := maps.Clone(ds.known())
	if known == nil {
		known = make(map[kind]*series)
	}
	if s, ok := known[k]; ok {
		return s
	}
	s := newSeries(k)
	known[k] = s
	ds.byKind.Store(&known)
	return s
}
