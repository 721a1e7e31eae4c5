package lifetime

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lasts is how long requests are made.
func lasts() time.Duration {
	if testing.Verbose() {
		return 3 * time.Second
	}
	return time.Second
}

// row is what came of a contender with a protocol.
type row struct {
	protocol, contender string
	requests, failed    int64
	dialled, most       int
	oldest              time.Duration
	left                int // connections, a second after the last request at most
}

func TestNoRequestFailsByTheLifetimeOfConnections(t *testing.T) {
	var rows []row
	for _, p := range protocols {
		for _, c := range []contender{magnetar, closeConns, closeIdle, loadBalancer} {
			t.Run(p.name+"/"+c.name, func(t *testing.T) {
				r := p.meet(t, c)
				rows = append(rows, r)
				if c.name == magnetar.name {
					require.Zero(t, r.failed, "failed")
					require.Zero(t, r.left, "leaked")
				}
			})
		}
	}
	printRows(rows)
}

func (p protocol) meet(t *testing.T, c contender) row {
	t.Helper()
	var conns connections
	base := newBase(&conns)
	url := p.serve(t, base)
	rt, stop := c.wrap(t, base)
	var l tally
	l.load(rt, url, lasts(), mixed, func() time.Duration { return 0 })
	oldest := conns.age()
	stop()
	dialled, most := conns.counted()
	return row{
		protocol: p.name, contender: c.name,
		requests: l.requests.Load(), failed: l.failed.Load(),
		dialled: dialled, most: most, oldest: oldest,
		left: conns.settled(),
	}
}

// settled is how many connections are left when they had a second to end.
func (s *connections) settled() int {
	deadline := time.After(time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for s.left() > 0 {
		select {
		case <-tick.C:
		case <-deadline:
			return s.left()
		}
	}
	return 0
}
