package medicine

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// What arrives before warmup does not count, nor what is answered after lasting.
const (
	warmup  = 5 * time.Second
	lasting = 15 * time.Second
)

// scene is one row of the table.
type scene struct {
	clients  int
	patience time.Duration // a call's deadline; zero: that of Default(), 30 s
	load     float64
}

// promised are the scenes that DESIGN speaks of, and those of a gateway or two
// in front of the server: what one client of fifty holds back another sends, one
// that is alone holds back everything.
func promised() []scene {
	all := scenes(50, time.Second, 0)
	for _, n := range []int{10, 3, 1} {
		all = append(all, scenes(n, time.Second)...)
	}
	return all
}

func scenes(clients int, patience ...time.Duration) []scene {
	var all []scene
	for _, p := range patience {
		for _, load := range []float64{2, 5, 10} {
			all = append(all, scene{clients, p, load})
		}
	}
	return all
}

// Outbound trap 35: clients with the kit's defaults before a server with the
// kit's Shed keep their breakers closed, and the server busy. Without -v only some
// of the scenes are played.
func TestTrap35OwnMedicine(t *testing.T) {
	if raceEnabled {
		t.Skip("nothing is shared here that the packages' own tests do not share, and it takes minutes")
	}
	var rows []outcome
	for _, s := range promised() {
		if !testing.Verbose() && (s.patience == 0 || s.clients != 50 && s.load != 5) {
			continue
		}
		t.Run(s.String(), func(t *testing.T) {
			o := s.run(t)
			rows = append(rows, o)
			require.True(t, o.closed, "a breaker opened")
			require.GreaterOrEqual(t, o.goodput, 0.9)
		})
	}
	report(rows)
}

func (s scene) String() string {
	return fmt.Sprintf("%d clients/%v/%g×", s.clients, s.patience, s.load)
}

// outcome is what came of a scene.
type outcome struct {
	scene
	goodput  float64 // of capacity
	answered float64 // of the calls; those of the end are served at leisure
	held     float64 // of the calls, refused by their client, whose key was held
	tries    float64 // per call, that reached the server
	holds    int64
	p50, p99 time.Duration // of the answered, waiting at the client included
	closed   bool          // all breakers, all the time
}

func (s scene) run(t *testing.T) outcome {
	var o outcome
	synctest.Test(t, func(t *testing.T) {
		server := newServer(1)
		clients := newClients(s.clients, server)
		calls := clients.load(s.load*capacity, lasting, s.patience, 1)
		o = s.outcome(calls)
		o.tries = float64(server.tries.Load()) / float64(len(calls))
		o.holds = clients.seen.holds.Load()
		o.closed = clients.allClosed()
		clients.close()
		require.NoError(t, server.Shutdown(t.Context()))
	})
	return o
}

func (s scene) outcome(calls []call) outcome {
	o := outcome{scene: s}
	inTime := 0
	var took []time.Duration
	for _, one := range calls {
		switch {
		case one.held:
			o.held++
		case one.ok:
			took = append(took, one.took)
			if ends := one.at + one.took; ends >= warmup && ends < lasting {
				inTime++
			}
		}
	}
	slices.Sort(took)
	o.goodput = float64(inTime) / (capacity * (lasting - warmup).Seconds())
	o.answered = float64(len(took)) / float64(len(calls))
	o.held /= float64(len(calls))
	o.p50, o.p99 = took[len(took)/2], took[len(took)*99/100]
	return o
}
