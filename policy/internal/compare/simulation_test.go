package compare

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// response is the mean time in a service, from arrival to end, of calls that
// never give up.
func response(t *testing.T, idle func() server, rate float64, mean time.Duration, seed uint64) float64 {
	t.Helper()
	const warmup, calls = 2000, 12000
	total := 0.0
	synctest.Test(t, func(*testing.T) {
		rng := rand.New(rand.NewPCG(seed, seed))
		s := idle()
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range calls {
			time.Sleep(gap(rng, rate))
			work := time.Duration(float64(mean) * exponential.draw(rng))
			all.Go(func() {
				began := time.Now()
				s.serve(context.Background(), work)
				if i >= warmup {
					mu.Lock()
					defer mu.Unlock()
					total += time.Since(began).Seconds()
				}
			})
		}
		all.Wait()
		s.stop()
	})
	return total / (calls - warmup)
}

func TestServicesObeyQueueingTheory(t *testing.T) {
	const mean = 10 * time.Millisecond
	cases := []struct {
		name  string
		make  func() server
		slots int
		load  float64
		want  float64 // seconds
	}{
		{"M/M/1", func() server { return newPool(1) }, 1, 0.7, mean.Seconds() / (1 - 0.7)},
		{"M/M/3", func() server { return newPool(3) }, 3, 0.8, mean.Seconds() * (1 + erlangC(3, 0.8)/3/(1-0.8))},
		{"M/M/16", func() server { return newPool(16) }, 16, 0.9, mean.Seconds() * (1 + erlangC(16, 0.9)/16/(1-0.9))},
		{"M/M/1 shared", func() server { return newProcessor(1) }, 1, 0.7, mean.Seconds() / (1 - 0.7)},
		// With exponential work, sharing changes who ends first but not how many.
		{"M/M/3 shared", func() server { return newProcessor(3) }, 3, 0.8, mean.Seconds() * (1 + erlangC(3, 0.8)/3/(1-0.8))},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			const runs = 12
			sum, squares := 0.0, 0.0
			for seed := range uint64(runs) {
				r := response(t, c.make, c.load*float64(c.slots)/mean.Seconds(), mean, seed)
				sum += r
				squares += r * r
			}
			got := sum / runs
			standardError := math.Sqrt((squares/runs - got*got) / (runs - 1))
			require.InDelta(t, c.want, got, 3*standardError)
			require.Less(t, standardError, 0.05*c.want)
		})
	}
}

// erlangC is the probability that a call has to wait for one of c servers.
func erlangC(c int, load float64) float64 {
	offered := load * float64(c)
	lost := 1.0 // Erlang B
	for n := 1; n <= c; n++ {
		lost = offered * lost / (float64(n) + offered*lost)
	}
	return lost / (1 - load*(1-lost))
}

func TestDistributionsHaveMeanOne(t *testing.T) {
	for _, d := range []distribution{constant, exponential, lognormal, pareto, bimodal} {
		const steps = 1 << 22
		sum := 0.0
		for i := range steps {
			sum += d.quantile((float64(i) + 0.5) / steps)
		}
		require.InDelta(t, 1, sum/steps, 0.005, d.name)
	}
}

func TestEqualSeedsBringEqualResults(t *testing.T) {
	cases := []Scenario{
		{Model: IO, Slots: 4, Load: 2},
		{Model: CPU, Slots: 2, Load: 2, Retries: maxRetries, RefusalCost: time.Millisecond},
		{Model: IO, Slots: 4, Load: 1, Clients: Deadline, Cancelling: 0.2, Critical: 0.1},
		{Model: CPU, Slots: 4, Load: 0.6, Clients: Blind, Burst: Burst{time.Second, 100 * time.Millisecond, 4}},
		{Model: CPU, Slots: 2, Load: 0.8, Steps: []Step{{10 * time.Second, 4}, {12 * time.Second, 1}}},
	}
	for _, s := range cases {
		for _, c := range []contender{{"none", func(int) Limiter { return none{} }}, {"fixed", newFixedQueue}} {
			t.Run(fmt.Sprintf("%+v %s", s.Model, c.name), func(t *testing.T) {
				one, two, other := play(t, s, c, 7), play(t, s, c, 7), play(t, s, c, 8)
				require.Equal(t, fmt.Sprint(one), fmt.Sprint(two))
				require.NotEqual(t, fmt.Sprint(one), fmt.Sprint(other))
			})
		}
	}
}

func TestTheRightLimitGivesFullGoodputUnderOverload(t *testing.T) {
	right := contender{"", func(slots int) Limiter { return newFixed(slots) }}
	cases := map[string]Scenario{
		"io":                  {Model: IO, Slots: 8, Load: 10},
		"cpu":                 {Model: CPU, Slots: 8, Load: 10},
		"slower":              {Model: CPU, Slots: 8, Load: 10, Steps: []Step{{0, 10}}},
		"slower than a wait":  {Model: IO, Slots: 64, Mean: 40 * time.Millisecond, Load: 1, Steps: []Step{{0, 10}}},
		"refusals cost":       {Model: CPU, Slots: 8, Load: 10, RefusalCost: 500 * time.Microsecond},
		"cancelling clients":  {Model: IO, Slots: 8, Load: 10, Cancelling: 0.2},
		"retries":             {Model: IO, Slots: 8, Load: 10, Retries: maxRetries},
		"blind":               {Model: IO, Slots: 8, Load: 10, Clients: Blind},
		"deadlines":           {Model: CPU, Slots: 8, Load: 10, Clients: Deadline},
		"long bursts of load": {Model: IO, Slots: 8, Load: 10, Burst: Burst{5 * time.Second, time.Second, 3}},
	}
	for name, s := range cases {
		t.Run(name, func(t *testing.T) {
			require.InDelta(t, 1, play(t, s, right, 3).Goodput, 0.06)
		})
	}
}
