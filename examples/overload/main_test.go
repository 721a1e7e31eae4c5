package main

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// short is the rush in a fifth of its time, for clients with less patience.
func short() plan {
	return plan{
		slots:    8,
		takes:    20 * time.Millisecond,
		patience: 400 * time.Millisecond,
		phases: []phase{
			{name: "0.5x", lasts: time.Second, load: 0.5},
			{name: "5x", lasts: 2500 * time.Millisecond, load: 5},
			{name: "4x slower", lasts: 2500 * time.Millisecond, load: 2, slower: 4},
		},
	}
}

// The floor is far below what is reached, for something else may keep the
// processors busy; virtual time is where more is promised.
func TestShedKeepsAnsweringWhereTheBareServerDoesNot(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("measures on the real clock")
	}
	p := short()
	rides, err := p.rideAll(t.Context(), io.Discard)
	require.NoError(t, err)
	require.Len(t, rides, 2)
	shed, bare := goodputs(rides[0]), goodputs(rides[1])
	require.Zero(t, rides[1].sum(0, len(rides[1].windows)).ends[refused], "nothing refuses there")
	require.Positive(t, rides[0].sum(0, len(rides[0].windows)).ends[refused])
	for phase := range p.phases {
		require.GreaterOrEqual(t, shed[phase], 0.4, table(p, rides))
	}
	require.Greater(t, shed[1], bare[1])
	require.Greater(t, shed[2], bare[2])
}

func TestOverloadShowsChartTableAndVerdicts(t *testing.T) {
	p := short()
	p.phases = []phase{
		{name: "0.5x", lasts: window, load: 0.5},
		{name: "2x", lasts: 2 * window, load: 2},
	}
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, p))
	for _, want := range []string{
		"needs one of 8 connections for about 20ms", "400 requests a second", "shed.Shed(",
		"with Shed 2x ", "without   2x ", "with Shed goodput ", "without   goodput ",
		"phase       server", "2x          with Shed", "            without", "promised ≥ 0.95",
	} {
		require.Contains(t, out.String(), want)
	}
}

func TestOverloadEndsWhenInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.EqualError(t, run(ctx, io.Discard, short()), "interrupted with Shed, at 0.5x")
}

func TestTheRushFitsItsTimeLimit(t *testing.T) {
	require.LessOrEqual(t, 2*theRush.lasts(), 55*time.Second, "and another 5 s to build it")
	for _, ph := range theRush.phases {
		require.Zero(t, ph.lasts%window, ph.name)
	}
}

// goodputs are those of the phases.
func goodputs(r *ride) (all []float64) {
	for _, s := range r.plan.spans() {
		all = append(all, r.goodput(s.from, s.to))
	}
	return all
}
