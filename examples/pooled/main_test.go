package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
	"github.com/magnetar-go/magnetar/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNoCallFailsButThoseOnTheServerThatIsKilled(t *testing.T) {
	p := theNight.faster(3)
	var out bytes.Buffer
	r, err := p.run(t.Context(), &out)
	require.NoError(t, err)
	for _, promise := range r.promises() {
		require.Truef(t, promise.kept, "%s\n%s", promise.text, r)
	}
	calls := int(r.load.answered.Load() + r.load.lost.Load())
	require.InDelta(t, p.lasts.Seconds()*float64(p.rate), calls, float64(p.rate), "calls")
	require.GreaterOrEqual(t, r.events.count(policy.ActionEject, ""), 2)
	require.Positive(t, r.events.count(policy.ActionRotate, r.fleet.servers[leaving].address))
	require.Positive(t, r.events.retired[policy.ReasonLifetime])
	for i, tries := range r.load.counts(r.fleet) {
		require.Greater(t, tries, int64(calls/20), r.fleet.servers[i].address)
	}
	require.Contains(t, out.String(), ".12 turns sick")
	require.NotContains(t, out.String(), "\x1b", "no terminal, no drawing")
}

func TestBlockShowsEveryServerAndWhatHappened(t *testing.T) {
	cert, roots, err := demo.SelfSigned(host)
	require.NoError(t, err)
	f, err := newFleet(t.Context(), cert)
	require.NoError(t, err)
	defer f.close()
	seen := newEvents()
	pt, err := newPool(theNight.pool, f, roots, seen)
	require.NoError(t, err)
	defer pt.Close()
	v := &view{stage: newStage(theNight), fleet: f, load: newLoad(&http.Client{Transport: pt}, f), pool: pt, events: seen}
	v.look()
	for range 20 {
		v.load.call()
	}
	require.NoError(t, turnSick(t.Context(), f))
	for range 20 {
		v.load.do(http.MethodGet, "/orders/42")
	}
	block := v.block()
	for _, want := range []string{"all four are well", "35 calls answered, 5 failed", "127.0.0.11  h2        █████", "127.0.0.13  http/1.1  █████", "ejected for failures_in_a_row", "eject    127.0.0.12:"} {
		require.Contains(t, block, want)
	}
}

func TestPooledEndsWhenInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, run(ctx, io.Discard, theNight), context.Canceled)
}

func TestTheNightFitsItsTimeLimit(t *testing.T) {
	require.LessOrEqual(t, theNight.lasts, 25*time.Second, "and another 5 s to build it")
	last := theNight.scenes[len(theNight.scenes)-1]
	require.Less(t, last.at, theNight.lasts)
}

func TestCallIsLostOnlyWithTheServerItWasOn(t *testing.T) {
	killed := time.Now()
	f := &fleet{servers: []*server{{address: "127.0.0.11:1"}, {address: "127.0.0.12:1"}, {address: "127.0.0.13:1"}, {address: "127.0.0.14:1"}}, killed: killed}
	dead, other := f.servers[mortal].address, f.servers[steady].address
	cases := map[string]struct {
		failure
		lost bool
	}{
		"a POST in flight":         {failure{http.MethodPost, dead, killed.Add(time.Millisecond), errors.New("EOF")}, true},
		"could be sent twice":      {failure{http.MethodGet, dead, killed.Add(time.Millisecond), errors.New("EOF")}, false},
		"on another server":        {failure{http.MethodPost, other, killed.Add(time.Millisecond), errors.New("EOF")}, false},
		"before it was killed":     {failure{http.MethodPost, dead, killed.Add(-time.Millisecond), errors.New("EOF")}, false},
		"long after it was killed": {failure{http.MethodPost, dead, killed.Add(time.Second), errors.New("EOF")}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := &result{fleet: f, load: &load{failed: []failure{c.failure}}}
			require.Equal(t, c.lost, r.inFlight(c.failure))
			require.Equal(t, c.lost, len(r.broken()) == 0)
		})
	}
}

func TestBarIsAShare(t *testing.T) {
	require.Empty(t, bar(0))
	require.Equal(t, "█████", bar(0.25))
	require.Equal(t, "▎", bar(0.0125))
	require.Len(t, []rune(bar(1)), barWidth)
}
