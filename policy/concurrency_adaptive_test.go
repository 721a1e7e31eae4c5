package policy_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

// Inbound trap 22.
func TestLimitOfFewSlotsIsStillMeasuredAtOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := policy.NewConcurrency(policy.ConcurrencyConfig{})
		least := c.Stats().Limit
		l := load{limit: c, slots: 2, mean: 10 * time.Millisecond, times: 2}
		l.each = func(*call) { least = min(least, c.Stats().Limit) }
		_, served, _ := l.run(time.Minute)
		require.Equal(t, 1, least)
		require.Greater(t, served, 9*200*60/10)
	})
}

// Inbound trap 23.
func TestAlmostNobodyIsRefusedAtLowLoad(t *testing.T) {
	for _, tc := range []struct{ times, most float64 }{{0.3, 0.0005}, {0.5, 0.005}} {
		for _, slots := range []int{8, 32} {
			t.Run(fmt.Sprintf("%d slots at %gx", slots, tc.times), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := load{limit: policy.NewConcurrency(policy.ConcurrencyConfig{}), slots: slots, mean: 10 * time.Millisecond, times: tc.times}
					calls, _, refused := l.run(time.Minute)
					require.LessOrEqual(t, float64(refused)/float64(calls), tc.most)
				})
			})
		}
	}
}

// Inbound trap 24.
func TestNobodyIsAdmittedTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told recorder
		c := policy.NewConcurrency(policy.ConcurrencyConfig{}, policy.WithObserver(&told))
		var took []time.Duration
		queued, late := 0, 0
		l := load{limit: c, slots: 8, mean: 20 * time.Millisecond, times: 3, timeout: 150 * time.Millisecond}
		l.caller = func(call int, ctx context.Context) context.Context {
			if call%10 > 0 {
				return ctx
			}
			hurried, cancel := context.WithTimeout(ctx, 15*time.Millisecond)
			context.AfterFunc(hurried, cancel)
			return hurried
		}
		l.each = func(c *call) {
			if c.served {
				took = append(took, time.Since(c.admitted))
			}
			if c.admitted.After(c.arrived) && len(took) > 1000 {
				recent := slices.Clone(took[len(took)-200:])
				slices.Sort(recent)
				queued++
				if c.deadline.Sub(c.admitted) < recent[len(recent)/2] {
					late++
				}
			}
		}
		l.run(30 * time.Second)
		require.Greater(t, queued, 1000)
		require.LessOrEqual(t, float64(late)/float64(queued), 0.01)
		unmeetable := 0
		for _, d := range told.all {
			if d.Reason == policy.ReasonDeadlineUnmeetable {
				unmeetable++
			}
		}
		require.Positive(t, unmeetable)
	})
}

// Inbound trap 25.
func TestWaitUnderALimitThatFindsItselfIsBounded(t *testing.T) {
	for name, tc := range map[string]struct{ maxWait, most time.Duration }{
		"as it comes": {0, time.Second},
		"MaxWait":     {3 * time.Second, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := policy.NewConcurrency(policy.ConcurrencyConfig{MaxWait: tc.maxWait})
				hold(t, c, c.Stats().Limit)
				began := time.Now()
				_, err := c.Admit(t.Context())
				require.ErrorIs(t, err, policy.ErrSaturated)
				require.Equal(t, policy.ReasonQueueTimeout, reasonOf(err))
				require.LessOrEqual(t, time.Since(began), tc.most)
				require.Positive(t, time.Since(began))
			})
		})
	}
}

// Inbound trap 27: the first call on each slot is slow, and so is everything the
// limit has to go by. (At full load, the right limit would refuse more than that.)
func TestColdStartRefusesAlmostNobody(t *testing.T) {
	// Far more slots than the limit begins with cost a little more, until a first
	// call has ended.
	for slots, most := range map[int]float64{8: 0.01, 32: 0.01, 64: 0.02} {
		t.Run(fmt.Sprint(slots, " slots"), func(t *testing.T) {
			var calls, refused int
			for range 4 { // one alone may be unlucky
				synctest.Test(t, func(t *testing.T) {
					c, r := coldStart(slots)
					calls, refused = calls+c, refused+r
				})
			}
			require.Less(t, float64(refused)/float64(calls), most)
		})
	}
}

// coldStart is the first 20 s of a server whose first calls are slow.
func coldStart(slots int) (calls, refused int) {
	var begun atomic.Int64
	l := load{limit: policy.NewConcurrency(policy.ConcurrencyConfig{}), slots: slots, mean: 20 * time.Millisecond, times: 0.8}
	l.slow = func(time.Time) time.Duration {
		if begun.Add(1) <= int64(slots) {
			return 80 * time.Millisecond
		}
		return 0
	}
	calls, _, refused = l.run(20 * time.Second)
	return calls, refused
}

// Inbound trap 27: everything stands still for a moment.
func TestPauseOfEverythingHardlyMovesTheLimit(t *testing.T) {
	const pause = 100 * time.Millisecond
	for _, times := range []float64{0.8, 1.5} {
		t.Run(fmt.Sprintf("%gx", times), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := policy.NewConcurrency(policy.ConcurrencyConfig{})
				began := time.Now()
				at := began.Add(30 * time.Second)
				// Enough slots, so that one more or less is no tenth of the limit.
				l := load{limit: c, slots: 40, mean: 10 * time.Millisecond, times: times}
				// Who is in service at that moment, or begins in it, is late by all of it.
				l.slow = func(now time.Time) time.Duration {
					if now.After(at.Add(-10*time.Millisecond)) && now.Before(at.Add(pause)) {
						return at.Add(pause).Sub(now)
					}
					return 0
				}
				var before, after []int
				l.each = func(*call) {
					switch since := time.Since(at); {
					case since > -10*time.Second && since < 0:
						before = append(before, c.Stats().Limit)
					case since > 0 && since < 5*time.Second:
						after = append(after, c.Stats().Limit)
					}
				}
				l.run(40 * time.Second)
				require.Greater(t, median(after), 0.9*median(before)) // of many, for a probe halves it for a moment
			})
		})
	}
}

func median(of []int) float64 {
	slices.Sort(of)
	return float64(of[len(of)/2])
}

// Inbound trap 28.
func TestHardlyAnyCallsMoveNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := policy.NewConcurrency(policy.ConcurrencyConfig{})
		before := c.Stats().Limit
		for i := range 60 {
			p := hold(t, c, 1)[0]
			time.Sleep(time.Duration(1+i%7) * 20 * time.Millisecond)
			p.Done(t.Context(), policy.Success)
			require.Equal(t, before, c.Stats().Limit)
			time.Sleep(time.Minute)
		}
	})
}

// A try of a second that waited for its own caller for all but a hundredth of it
// is a quick one, and so callers need not wait for long.
func TestTimeThatIsExcludedTeachesNothing(t *testing.T) {
	wait := func(t *testing.T, excluded time.Duration) (waited time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			c := policy.NewConcurrency(policy.ConcurrencyConfig{})
			for range 200 {
				p := hold(t, c, 1)[0]
				time.Sleep(time.Second)
				p.Exclude(excluded / 2)
				p.Exclude(excluded / 2)
				p.Done(t.Context(), policy.Success)
				p.Exclude(time.Hour) // too late
			}
			hold(t, c, c.Stats().Limit)
			began := time.Now()
			_, err := c.Admit(t.Context())
			require.Equal(t, policy.ReasonQueueTimeout, reasonOf(err))
			waited = time.Since(began)
		})
		return waited
	}
	require.LessOrEqual(t, wait(t, 990*time.Millisecond), 200*time.Millisecond)
	require.Greater(t, wait(t, 0), time.Second)
}

func TestLimitTurnsFromFixedToFoundAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told recorder
		c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 3}, policy.WithObserver(&told))
		before := hold(t, c, 3)
		require.NoError(t, c.Update(policy.ConcurrencyConfig{}))
		require.Equal(t, policy.ActionResize, told.last().Action)
		found := c.Stats().Limit
		require.Greater(t, found, 3)
		require.Equal(t, found, told.last().Limit)
		during := hold(t, c, 5)
		require.NoError(t, c.Update(policy.ConcurrencyConfig{Limit: 4, MaxQueue: 1}))
		for i, p := range append(before, during...) {
			require.Equal(t, 8-i, c.Stats().InFlight)
			p.Done(t.Context(), policy.Success)
			require.Equal(t, 4, c.Stats().Limit)
		}
		require.True(t, c.Idle())
		hold(t, c, 4)
		began := time.Now()
		_, err := c.Admit(t.Context())
		require.Equal(t, policy.ReasonQueueTimeout, reasonOf(err))
		require.Equal(t, time.Second, time.Since(began))
	})
}

// A limit that has just been set is not overruled by tries that end meanwhile.
func TestLimitThatIsSetStaysUnderRace(t *testing.T) {
	c := policy.NewConcurrency(policy.ConcurrencyConfig{})
	var over atomic.Bool
	var running atomic.Int64
	for range 4 {
		running.Add(1)
		go func() {
			defer running.Add(-1)
			for !over.Load() {
				if p, err := c.Admit(t.Context()); err == nil {
					p.Done(t.Context(), policy.Success)
				}
			}
		}()
	}
	for range 200 {
		_ = c.SetLimit(0)
		runtime.Gosched()
		_ = c.SetLimit(7)
		for range 3 {
			runtime.Gosched()
			require.Equal(t, 7, c.Stats().Limit)
		}
	}
	over.Store(true)
	for running.Load() > 0 {
		runtime.Gosched()
	}
	require.True(t, c.Idle())
}

func TestLimitThatFindsItselfTellsItsSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told recorder
		c := policy.NewConcurrency(policy.ConcurrencyConfig{}, policy.WithObserver(&told), policy.WithName(policy.PolicyShed), policy.WithKey("k"))
		load{limit: c, slots: 4, mean: 10 * time.Millisecond, times: 3}.run(10 * time.Second)
		last, steps := 20, 0
		for _, d := range told.all {
			require.Equal(t, policy.PolicyShed, d.Policy)
			require.Equal(t, "k", d.Key)
			if d.Action == policy.ActionResize {
				require.GreaterOrEqual(t, 10*max(d.Limit-last, last-d.Limit), last, "less than a tenth")
				last = d.Limit
				steps++
			}
		}
		require.Positive(t, steps)
	})
}

func TestDrainRefusesAllAndWaitsForTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told recorder
		c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1, MaxQueue: 2, MaxWait: -1}, policy.WithObserver(&told))
		p := hold(t, c, 1)[0]
		entries := enqueue(t.Context(), c, 2)
		drained := make(chan error, 1)
		go func() { drained <- c.Drain(t.Context()) }()
		for range 2 {
			err := (<-entries).err
			require.ErrorIs(t, err, policy.ErrClosed)
			require.Equal(t, policy.ReasonClosed, reasonOf(err))
		}
		_, err := c.Admit(t.Context())
		require.ErrorIs(t, err, policy.ErrClosed)
		require.Equal(t, policy.ReasonClosed, told.last().Reason)
		synctest.Wait()
		require.Empty(t, drained)
		p.Pause()
		synctest.Wait()
		require.Empty(t, drained, "who has lent its place is not done")
		p.Done(t.Context(), policy.Success)
		require.NoError(t, <-drained)
		require.NoError(t, c.Drain(t.Context()), "again")
		require.EqualValues(t, 3, c.Stats().Refused)
	})
}

func TestDrainOfAnIdleLimitNeedsNoTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		require.NoError(t, policy.NewConcurrency(policy.ConcurrencyConfig{}).Drain(ctx))
	}
}

func TestDrainGivesUpWithItsContext(t *testing.T) {
	late := errors.New("late")
	c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1})
	p := hold(t, c, 1)[0]
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(late)
	require.Equal(t, late, c.Drain(ctx))
	p.Done(t.Context(), policy.Success)
	require.NoError(t, c.Drain(t.Context()))
}

func TestPauseLendsThePlaceAndResumeTakesItBack(t *testing.T) {
	c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1})
	reader := hold(t, c, 1)[0]
	for range 2 {
		reader.Pause() // the second time nothing is left to lend
	}
	require.Equal(t, 0, c.Stats().InFlight)
	require.False(t, c.Idle())
	other := hold(t, c, 1)[0]
	for range 2 {
		reader.Resume()
	}
	require.Equal(t, 2, c.Stats().InFlight)
	reader.Done(t.Context(), policy.Success)
	other.Pause()
	other.Done(t.Context(), policy.Success)
	for _, p := range []policy.Permit{reader, other} {
		p.Done(t.Context(), policy.Success)
		p.Pause()
		p.Resume()
	}
	require.True(t, c.Idle())
	require.Equal(t, 0, c.Stats().InFlight)
}

func TestPauseAndItsLikeAreNothingToOtherPermits(t *testing.T) {
	b := policy.NewRateLimiter(policy.RateLimiterConfig{Limit: 1, Per: time.Second})
	p, err := b.Admit(t.Context())
	require.NoError(t, err)
	for _, p := range []policy.Permit{p, {}, policy.NewPermit(func(context.Context, policy.Outcome) {})} {
		require.NotPanics(t, func() {
			p.Pause()
			p.Resume()
			p.Exclude(time.Second)
			p.Done(t.Context(), policy.Success)
		})
	}
}

func TestPlaceComesBackWhateverTheTryDoes(t *testing.T) {
	c := policy.NewConcurrency(policy.ConcurrencyConfig{})
	require.Panics(t, func() {
		_ = c.Do(t.Context(), func(context.Context) error { panic("op") })
	})
	require.True(t, c.Idle())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = c.Do(t.Context(), func(context.Context) error {
			runtime.Goexit()
			return nil
		})
	}()
	<-gone
	require.True(t, c.Idle())
}

func TestRefusalsUnderALimitThatFindsItselfSayWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told recorder
		c := policy.NewConcurrency(policy.ConcurrencyConfig{MaxQueue: 1, MaxWait: -1}, policy.WithObserver(&told))
		for range 20 { // it takes 100 ms
			p := hold(t, c, 1)[0]
			time.Sleep(100 * time.Millisecond)
			p.Done(t.Context(), policy.Success)
		}
		hold(t, c, c.Stats().Limit)
		hurried, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_, err := c.Admit(hurried)
		require.Equal(t, policy.ReasonDeadlineUnmeetable, reasonOf(err))
		require.ErrorIs(t, err, policy.ErrSaturated)
		require.Equal(t, policy.ReasonDeadlineUnmeetable, told.last().Reason)

		low := enqueue(policy.ContextWithPriority(t.Context(), policy.Low), c, 1)
		ctx, leave := context.WithCancel(policy.ContextWithPriority(t.Context(), policy.Critical))
		critical := enqueue(ctx, c, 1)
		err = (<-low).err
		require.Equal(t, policy.ReasonEvicted, reasonOf(err))
		require.Equal(t, policy.Low, told.last().Priority)
		_, err = c.Admit(t.Context())
		require.Equal(t, policy.ReasonQueueFull, reasonOf(err), "nobody gives way to one that matters less")

		before := c.Stats()
		leave()
		require.ErrorIs(t, (<-critical).err, context.Canceled)
		require.Equal(t, policy.ReasonCanceled, told.last().Reason)
		require.Equal(t, policy.Critical, told.last().Priority)
		require.Equal(t, before.Refused, c.Stats().Refused)
		require.Equal(t, before.Canceled+1, c.Stats().Canceled)
	})
}

func reasonOf(err error) policy.Reason {
	if e, ok := errors.AsType[*policy.Error](err); ok {
		return e.Reason
	}
	return ""
}

func TestLimitThatFindsItselfAllocatesOnlyToRefuseAndToWait(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx := context.Background()
	c := policy.NewConcurrency(policy.ConcurrencyConfig{MaxQueue: 1, MaxWait: -1})
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		p, _ := c.Admit(ctx)
		p.Done(ctx, policy.Success)
	}))

	held := make(chan policy.Permit, 1000)
	for _, p := range hold(t, c, c.Stats().Limit) {
		held <- p
	}
	queued := func() {
		for c.Stats().Queued == 0 {
			runtime.Gosched()
		}
	}
	release := make(chan struct{})
	defer close(release)
	go func() {
		for range release {
			queued()
			(<-held).Done(ctx, policy.Ignored)
		}
	}()
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		release <- struct{}{}
		p, _ := c.Admit(ctx)
		held <- p
	}), 2.0, "a wait")

	last, leave := context.WithCancel(policy.ContextWithPriority(ctx, policy.Critical)) // it gives way to nobody
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = c.Admit(last)
	}()
	queued()
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() { _, _ = c.Admit(ctx) }), 1.0, "a refusal")
	leave()
	<-gone
}

// What has been learned outlives a change of the queue.
func TestLimitThatFindsItselfIsKeptWhenItsQueueChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := policy.NewConcurrency(policy.ConcurrencyConfig{})
		found := 20 // it begins there
		for range 10 {
			load{limit: c, slots: 64, mean: 10 * time.Millisecond, times: 2}.run(5 * time.Second)
			if found = c.Stats().Limit; found != 20 {
				break
			}
		}
		require.NotEqual(t, 20, found, "it has learned")
		require.NoError(t, c.Update(policy.ConcurrencyConfig{MaxQueue: 1, MaxWait: time.Minute}))
		require.Equal(t, found, c.Stats().Limit)
		hold(t, c, found)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		began := time.Now()
		_, err := c.Admit(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 30*time.Second, time.Since(began))
	})
}
