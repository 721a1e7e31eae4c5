package policy_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

// gateFunc is a function as a gate.
type gateFunc func(context.Context) (policy.Permit, error)

func (f gateFunc) Admit(ctx context.Context) (policy.Permit, error) { return f(ctx) }

func TestPermitEndsOnceWhateverItsCopies(t *testing.T) {
	var ended []policy.Outcome
	p := policy.NewPermit(func(_ context.Context, o policy.Outcome) { ended = append(ended, o) })
	q := p
	p.Done(t.Context(), policy.Failure)
	q.Done(t.Context(), policy.Success)
	p.Done(t.Context(), policy.Success)
	require.Equal(t, []policy.Outcome{policy.Failure}, ended)
}

func TestPermitTellsTheContextOfItsTry(t *testing.T) {
	type key struct{}
	var value any
	p := policy.NewPermit(func(ctx context.Context, _ policy.Outcome) { value = ctx.Value(key{}) })
	p.Done(context.WithValue(t.Context(), key{}, "try"), policy.Success)
	require.Equal(t, "try", value)
}

func TestPermitWithNothingToGiveBack(t *testing.T) {
	require.Equal(t, policy.Permit{}, policy.NewPermit(nil))
	for _, p := range []policy.Permit{{}, policy.NewPermit(nil)} {
		require.NotPanics(t, func() {
			p.Responded()
			p.Done(t.Context(), policy.Success)
			p.Done(t.Context(), policy.Success)
		})
		require.False(t, p.Trial())
	}
}

// Slots are used again: a permit kept beyond its end must not end its
// successor's.
func TestStalePermitDoesNothing(t *testing.T) {
	c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 100})
	var stale []policy.Permit
	for range 100 {
		p := hold(t, c, 1)[0]
		p.Done(t.Context(), policy.Success)
		stale = append(stale, p)
	}
	live := hold(t, c, 100)
	for _, p := range stale {
		p.Responded()
		p.Done(t.Context(), policy.Failure)
	}
	require.Equal(t, 100, c.Stats().InFlight)
	for _, p := range live {
		p.Done(t.Context(), policy.Success)
	}
	require.True(t, c.Idle())
}

func TestPermitsEndOnceUnderRace(t *testing.T) {
	var ended, admitted atomic.Int64
	gate := func() policy.Permit {
		return policy.NewPermit(func(context.Context, policy.Outcome) { ended.Add(1) })
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 300 {
				p := gate()
				admitted.Add(1)
				var both sync.WaitGroup
				for range 3 {
					both.Go(func() { p.Done(context.Background(), policy.Success) })
				}
				p.Done(context.Background(), policy.Failure)
				both.Wait()
			}
		})
	}
	all.Wait()
	require.Equal(t, admitted.Load(), ended.Load())
}
