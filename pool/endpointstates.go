package pool

import (
	"iter"
	"strconv"
	"time"

	"github.com/magnetar-go/magnetar/otel"
)

// endpointStates yields how many endpoints of each target are in which state, for
// the metric.
func (t *Transport) endpointStates() iter.Seq[otel.Endpoints] {
	return func(yield func(otel.Endpoints) bool) {
		at := momentOf(time.Now())
		for _, tgt := range t.targets.list() {
			if !yield(tgt.endpointStates(at)) {
				return
			}
		}
	}
}

func (tgt *target) endpointStates(at moment) otel.Endpoints {
	n := otel.Endpoints{Address: tgt.key.host}
	n.Port, _ = strconv.Atoi(tgt.key.port)
	tgt.mu.Lock()
	defer tgt.mu.Unlock()
	for _, e := range tgt.all {
		switch {
		case e.health.ejected:
			n.Ejected++
		case e.share(at) < 1:
			n.Starting++
		default:
			n.Healthy++
		}
	}
	return n
}
