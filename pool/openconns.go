package pool

import (
	"iter"
	"strconv"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/pool/internal/generation"
)

// openConnections yields how many connections each target has, for the metric.
// Those that the targets beyond MaxTargets share are not told apart.
func (t *Transport) openConnections() iter.Seq[otel.OpenConnections] {
	return func(yield func(otel.OpenConnections) bool) {
		for _, tgt := range t.targets.list() {
			if !yield(tgt.openConnections()) {
				return
			}
		}
		rest := otel.OpenConnections{Address: "_OTHER"}
		if countConnections(&rest, t.spare.set.Stats()); rest.Active+rest.Idle > 0 {
			yield(rest)
		}
	}
}

func (tgt *target) openConnections() otel.OpenConnections {
	n := otel.OpenConnections{Address: tgt.key.host}
	n.Port, _ = strconv.Atoi(tgt.key.port)
	for _, e := range tgt.endpoints() {
		countConnections(&n, e.set.Stats())
	}
	return n
}

func countConnections(n *otel.OpenConnections, s generation.Stats) {
	for _, c := range s.Conns {
		if c.InFlight > 0 {
			n.Active++
		} else {
			n.Idle++
		}
	}
}
