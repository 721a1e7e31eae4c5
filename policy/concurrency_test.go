package policy_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

// hold takes n permits.
func hold(t *testing.T, c *policy.Concurrency, n int) []policy.Permit {
	t.Helper()
	var permits []policy.Permit
	for range n {
		p, err := c.Admit(t.Context())
		require.NoError(t, err)
		permits = append(permits, p)
	}
	return permits
}

// entry is how a caller who queued got on.
type entry struct {
	caller int
	permit policy.Permit
	err    error
}

// enqueue starts n callers, one after the other.
func enqueue(ctx context.Context, c *policy.Concurrency, n int) chan entry {
	entries := make(chan entry, n)
	for i := range n {
		go func() {
			p, err := c.Admit(ctx)
			entries <- entry{i, p, err}
		}()
		synctest.Wait()
	}
	return entries
}

func TestConcurrencyConfigReportsAllFaults(t *testing.T) {
	cases := map[string]struct {
		config policy.ConcurrencyConfig
		faults string
	}{
		"defaults": {policy.ConcurrencyConfig{Limit: 1}, ""},
		"no bound": {policy.ConcurrencyConfig{Limit: 1, MaxQueue: 1, MaxWait: -1}, ""},
		"adaptive": {policy.ConcurrencyConfig{}, ""},
		"negative": {policy.ConcurrencyConfig{Limit: -1, MaxQueue: -2}, "limit: -1: must be ≥ 0\nmax_queue: -2: must be ≥ 0"},
		"too many": {policy.ConcurrencyConfig{Limit: math.MaxInt32 + 1, MaxQueue: 1 << 30}, "limit: 2147483648: must be ≤ 2147483647\nmax_queue: 1073741824: must be ≤ 1073741823"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := c.config.Validate()
			if c.faults == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, c.faults)
			require.Panics(t, func() { policy.NewConcurrency(c.config) })
		})
	}
}

func TestConcurrencyRefusesAtItsLimit(t *testing.T) {
	c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 2}, policy.WithKey("db"))
	permits := hold(t, c, 2)
	_, err := c.Admit(t.Context())
	require.Equal(t, &policy.Error{Reason: policy.ReasonLimitReached, Policy: policy.PolicyConcurrency, Key: "db"}, err)
	require.ErrorIs(t, err, policy.ErrSaturated)
	require.True(t, policy.Refused(err))

	permits[0].Done(t.Context(), policy.Failure)
	hold(t, c, 1)
	require.Equal(t, policy.ConcurrencyStats{Limit: 2, InFlight: 2, Admitted: 3, Refused: 1}, c.Stats())
}

func TestConcurrencyTakesNothingForACallerWhoIsGone(t *testing.T) {
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1})
	_, err := c.Admit(ctx)
	require.Equal(t, gone, err)
	require.True(t, c.Idle())
}

func TestConcurrencyServesItsQueueInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1, MaxQueue: 50})
		p := hold(t, c, 1)[0]
		entries := enqueue(t.Context(), c, 50)
		_, err := c.Admit(t.Context())
		require.ErrorIs(t, err, policy.ErrSaturated)
		var e *policy.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, policy.ReasonQueueFull, e.Reason)

		for i := range 50 {
			p.Done(t.Context(), policy.Success)
			next := <-entries
			require.NoError(t, next.err)
			require.Equal(t, i, next.caller)
			require.Empty(t, entries)
			require.Equal(t, 1, c.Stats().InFlight)
			p = next.permit
		}
		p.Done(t.Context(), policy.Success)
		require.True(t, c.Idle())
	})
}

func TestNobodyOvertakesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1, MaxQueue: 1})
		p := hold(t, c, 1)[0]
		entries := enqueue(t.Context(), c, 1)
		p.Done(t.Context(), policy.Success) // handed on, though the waiter does not run yet
		_, err := c.Admit(t.Context())
		if err == nil {
			t.Fatal("a newcomer was admitted")
		}
		require.NoError(t, (<-entries).err)
	})
}

func TestQueueBoundsTheWait(t *testing.T) {
	cases := map[string]struct {
		maxWait, deadline time.Duration
		waited            time.Duration
		err               error
	}{
		"a second":          {waited: time.Second, err: policy.ErrSaturated},
		"MaxWait":           {maxWait: 3 * time.Second, waited: 3 * time.Second, err: policy.ErrSaturated},
		"MaxWait first":     {maxWait: time.Second, deadline: time.Minute, waited: time.Second, err: policy.ErrSaturated},
		"deadline first":    {maxWait: time.Minute, deadline: 2 * time.Second, waited: 2 * time.Second, err: context.DeadlineExceeded},
		"the deadline only": {maxWait: -1, deadline: time.Hour, waited: time.Hour, err: context.DeadlineExceeded},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1, MaxQueue: 1, MaxWait: tc.maxWait})
				hold(t, c, 1)
				ctx := t.Context()
				if tc.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tc.deadline)
					defer cancel()
				}
				began := time.Now()
				_, err := c.Admit(ctx)
				require.ErrorIs(t, err, tc.err)
				require.Equal(t, tc.waited, time.Since(began))
				require.Equal(t, 0, c.Stats().Queued)
				if e, ok := errors.AsType[*policy.Error](err); ok {
					require.Equal(t, policy.ReasonQueueTimeout, e.Reason)
				}
			})
		})
	}
}

func TestCancelledWaiterLeavesTheQueueAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("gone")
		c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1, MaxQueue: 2, MaxWait: -1})
		p := hold(t, c, 1)[0]
		ctx, cancel := context.WithCancelCause(t.Context())
		first := enqueue(ctx, c, 1)
		second := enqueue(t.Context(), c, 1)
		cancel(gone)
		require.Equal(t, gone, (<-first).err)
		require.Equal(t, policy.ConcurrencyStats{Limit: 1, InFlight: 1, Queued: 1, Admitted: 1, Canceled: 1}, c.Stats())
		p.Done(t.Context(), policy.Success)
		require.NoError(t, (<-second).err)
	})
}

// leaver is a context whose end wakes nobody: who waits finds out when it is
// handed a place.
type leaver struct {
	context.Context
	gone atomic.Bool
}

func (l *leaver) Err() error {
	if l.gone.Load() {
		return context.Canceled
	}
	return nil
}

func TestPlaceOfAWaiterWhoCancelsMeanwhileIsGivenOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1, MaxQueue: 2, MaxWait: -1})
		p := hold(t, c, 1)[0]
		ctx := &leaver{Context: context.Background()}
		first := enqueue(ctx, c, 1)
		second := enqueue(t.Context(), c, 1)
		ctx.gone.Store(true)
		p.Done(t.Context(), policy.Success)
		require.ErrorIs(t, (<-first).err, context.Canceled)
		next := <-second
		require.NoError(t, next.err)
		next.permit.Done(t.Context(), policy.Success)
		require.True(t, c.Idle())
	})
}

func TestConcurrencyShrunkBelowItsInFlightAdmitsNobodyUntilDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 5, MaxQueue: 5, MaxWait: -1})
		permits := hold(t, c, 5)
		entries := enqueue(t.Context(), c, 2)
		require.NoError(t, c.SetLimit(2))
		for _, p := range permits[:3] {
			p.Done(t.Context(), policy.Success)
			synctest.Wait()
			require.Empty(t, entries)
		}
		require.Equal(t, 2, c.Stats().InFlight)
		permits[3].Done(t.Context(), policy.Success)
		require.Equal(t, 0, (<-entries).caller)
		permits[4].Done(t.Context(), policy.Success)
		require.Equal(t, 1, (<-entries).caller)
		require.Equal(t, policy.ConcurrencyStats{Limit: 2, InFlight: 2, Admitted: 7}, c.Stats())
	})
}

func TestConcurrencyGrownAdmitsItsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1, MaxQueue: 10, MaxWait: -1})
		hold(t, c, 1)
		entries := enqueue(t.Context(), c, 10)
		require.NoError(t, c.SetLimit(4))
		synctest.Wait()
		require.Len(t, entries, 3)
		require.Equal(t, 7, c.Stats().Queued)
		require.NoError(t, c.SetLimit(100))
		synctest.Wait()
		require.Len(t, entries, 10)
		require.Equal(t, policy.ConcurrencyStats{Limit: 100, InFlight: 11, Admitted: 11}, c.Stats())
	})
}

func TestConcurrencyKeepsTheOldLimitOnAFault(t *testing.T) {
	c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 3})
	require.EqualError(t, c.SetLimit(-1), "limit: -1: must be ≥ 0")
	require.Equal(t, 3, c.Stats().Limit)
}

func TestConcurrencyTellsItsDecisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told recorder
		c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1, MaxQueue: 1},
			policy.WithObserver(&told), policy.WithKey("db"))
		start := time.Now()
		first := hold(t, c, 1)[0]
		entries := enqueue(t.Context(), c, 1)
		_, full := c.Admit(t.Context())
		require.Error(t, full)
		time.Sleep(10 * time.Millisecond)
		first.Done(t.Context(), policy.Success)
		require.NoError(t, (<-entries).err)
		require.Equal(t, []policy.Decision{
			{Policy: policy.PolicyConcurrency, Action: policy.ActionAdmit, Key: "db", Began: start, Limit: 1, InFlight: 1},
			{Policy: policy.PolicyConcurrency, Action: policy.ActionRefuse, Reason: policy.ReasonQueueFull, Key: "db", Began: start, Limit: 1, InFlight: 1, Queued: 1, Err: full},
			{Policy: policy.PolicyConcurrency, Action: policy.ActionWait, Key: "db", Began: start, Took: 10 * time.Millisecond, Limit: 1, InFlight: 1},
			{Policy: policy.PolicyConcurrency, Action: policy.ActionAdmit, Key: "db", Began: start.Add(10 * time.Millisecond), Limit: 1, InFlight: 1},
		}, told.all)
		told.all = nil

		_, late := c.Admit(t.Context())
		require.Error(t, late)
		require.Equal(t, []policy.Action{policy.ActionWait, policy.ActionRefuse}, told.actions())
		require.Equal(t, policy.ReasonQueueTimeout, told.last().Reason)
		require.Equal(t, late, told.last().Err)

		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := c.Admit(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, policy.ActionWait, told.last().Action)
		require.Equal(t, policy.ReasonCanceled, told.last().Reason)
		require.Equal(t, time.Millisecond, told.last().Took)

		require.NoError(t, c.SetLimit(1), "no change, no decision")
		require.Equal(t, policy.ActionWait, told.last().Action)
		require.NoError(t, c.SetLimit(7))
		require.Equal(t, policy.ActionResize, told.last().Action)
		require.Equal(t, 7, told.last().Limit)
	})
}

func TestObserverMayCallBackIntoTheLimiters(t *testing.T) {
	var c *policy.Concurrency
	var r *policy.RateLimiter
	ask := policy.ObserverFunc(func(_ context.Context, d policy.Decision) {
		if d.Action == policy.ActionAdmit {
			_, _ = c.Stats(), r.Stats()
			_, _ = c.Idle(), r.Idle()
			_, _ = c.SetLimit(d.Limit+1), r.SetLimit(d.Limit+1)
		}
	})
	c = policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1, MaxQueue: 1}, policy.WithObserver(ask))
	r = policy.PerSecond(1, policy.WithObserver(ask))
	hold(t, c, 3)
	for range 3 {
		require.True(t, r.Allow())
	}
}

func TestObserverWhoPanicsCostsNoPlace(t *testing.T) {
	c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1},
		policy.WithObserver(policy.ObserverFunc(func(context.Context, policy.Decision) { panic("observer") })))
	require.PanicsWithValue(t, "observer", func() { _, _ = c.Admit(t.Context()) })
	require.True(t, c.Idle())
}

// Callers come, cancel and go while the limit changes: nobody is lost, and never
// are more in flight than the largest limit.
func TestConcurrencyLosesNoPlaceUnderRace(t *testing.T) {
	const most = 8
	c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: most, MaxQueue: 16, MaxWait: 50 * time.Microsecond})
	var inFlight, admitted, peak atomic.Int64
	var all sync.WaitGroup
	for worker := range 32 {
		all.Go(func() {
			for i := range 200 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+(worker*i)%200)*time.Microsecond)
				if p, err := c.Admit(ctx); err == nil {
					admitted.Add(1)
					n := inFlight.Add(1)
					for old := peak.Load(); n > old && !peak.CompareAndSwap(old, n); old = peak.Load() {
					}
					runtime.Gosched()
					inFlight.Add(-1)
					p.Done(ctx, policy.Success)
				}
				cancel()
				if i%20 == 0 {
					_ = c.SetLimit(1 + (worker+i)%most)
				}
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, peak.Load(), int64(most))
	require.True(t, c.Idle())
	require.EqualValues(t, admitted.Load(), c.Stats().Admitted)
	require.NoError(t, c.SetLimit(most))
	hold(t, c, most)
}

func TestConcurrencyAllocatesOnlyToWait(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx := context.Background()
	c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1})
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		p, _ := c.Admit(ctx)
		p.Done(ctx, policy.Success)
	}))
	hold(t, c, 1)
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() { _, _ = c.Admit(ctx) }), 1.0)
}
