package bulkhead_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy/internal/bulkhead"
	"github.com/magnetar-go/magnetar/policy/internal/limit"
)

func TestLentPlaceIsAnothers(t *testing.T) {
	b := bulkhead.New(limit.Fixed{Limit: 1})
	first := fill(t, b, 1)[0]
	b.Pause()
	require.Equal(t, 0, b.Occupancy().InFlight())
	require.False(t, b.Idle(), "its owner is still there")
	second := fill(t, b, 1)[0]
	b.Resume()
	require.Equal(t, 2, b.Occupancy().InFlight(), "beyond the limit")
	b.Exit(first, limit.Done, 0)
	_, _, ok := b.Enter(t.Context())
	require.False(t, ok)
	b.Pause()
	b.Quit(second)
	require.True(t, b.Idle())
}

func TestLentPlaceGoesToWhoeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.New(limit.Fixed{Limit: 1, Queue: 1, Wait: forever})
		c := crowdBefore(b)
		fill(t, b, 1)
		c.add(t.Context(), 0)
		b.Pause()
		require.Equal(t, bulkhead.Admitted, c.next(t).verdict)
	})
}

func TestCloseRefusesAllAndWaitsForTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.New(limit.Fixed{Limit: 3, Queue: 5, Wait: forever})
		c, places := crowdBefore(b), fill(t, b, 3)
		b.Pause() // places[2]
		fourth := fill(t, b, 1)[0]
		c.add(t.Context(), 0, 1)

		drained := b.Close()
		synctest.Wait()
		require.Len(t, c.ended, 2)
		require.Equal(t, bulkhead.Closed, (<-c.ended).verdict)
		require.Equal(t, bulkhead.Closed, (<-c.ended).verdict)
		_, _, ok := b.Enter(t.Context())
		require.False(t, ok)
		_, v := b.Wait(t.Context(), 63)
		require.Equal(t, bulkhead.Closed, v)

		for _, p := range []bulkhead.Place{places[0], places[1], fourth} {
			require.False(t, closed(drained))
			b.Exit(p, limit.Done, 0)
		}
		require.False(t, closed(drained), "one is only paused")
		b.Resume()
		require.False(t, closed(drained))
		b.Exit(places[2], limit.Done, 0)
		require.True(t, closed(drained))
		require.True(t, closed(b.Close()), "again")
	})
}

func TestCloseWaitsForThoseWhoLentTheirPlace(t *testing.T) {
	b := bulkhead.New(limit.Fixed{Limit: 1})
	p := fill(t, b, 1)[0]
	b.Pause()
	drained := b.Close()
	require.False(t, closed(drained))
	b.Quit(p)
	require.True(t, closed(drained))
}

func TestCloseOfAnEmptyBulkheadIsDoneAtOnce(t *testing.T) {
	require.True(t, closed(bulkhead.New(limit.Fixed{Limit: 1}).Close()))
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// script is an algorithm that names what it is told to.
type script struct {
	bounds  limit.Bounds
	samples []limit.Sample
	started []uint64
}

func (s *script) Bounds() limit.Bounds      { return s.bounds }
func (s *script) Learn(sample limit.Sample) { s.samples = append(s.samples, sample) }
func (s *script) Start(try uint64)          { s.started = append(s.started, try) }

func TestAlgorithmLearnsHowTriesWent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alg := &script{bounds: limit.Bounds{Limit: 2, Queue: 5, Wait: forever, Standing: -1}}
		b := bulkhead.New(alg)
		time.Sleep(time.Second)
		places := fill(t, b, 2)
		c := crowdBefore(b)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c.add(ctx, 0)
		c.add(t.Context(), 0)
		time.Sleep(time.Second)
		require.False(t, b.Exit(places[1], limit.Done, 300*time.Millisecond))
		third := c.next(t)
		time.Sleep(time.Second)
		b.Exit(third.place, limit.Missed, 0)
		require.Equal(t, []limit.Sample{
			{Try: 2, InFlight: 2, Queued: 2, Granted: time.Second, Ended: 2 * time.Second, Excluded: 300 * time.Millisecond, Result: limit.Done},
			{Try: 3, InFlight: 2, Queued: 1, Waited: time.Second, Granted: 2 * time.Second, Ended: 3 * time.Second, Deadline: 61 * time.Second, Result: limit.Missed},
		}, alg.samples)
		require.Equal(t, 700*time.Millisecond, alg.samples[0].Took())
		synctest.Wait()
		require.Equal(t, []uint64{1, 2, 3, 4}, alg.started)
	})
}

func TestAlgorithmHearsOfEachTryThatItSawBegin(t *testing.T) {
	alg := &script{bounds: limit.Bounds{Limit: 2}}
	b := bulkhead.New(alg)
	p := fill(t, b, 1)[0]
	b.Pause()
	b.Quit(p)
	require.Len(t, alg.samples, 1)
	require.Equal(t, alg.started[0], alg.samples[0].Try)
	require.Equal(t, limit.Dropped, alg.samples[0].Result)
}

func TestLimitThatIsNamedIsHeldFromThenOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alg := &script{bounds: limit.Bounds{Limit: 2, Queue: 5, Wait: forever, Standing: -1}}
		b := bulkhead.New(alg)
		c, places := crowdBefore(b), fill(t, b, 2)
		c.add(t.Context(), 0, 0, 0)
		alg.bounds.Limit = 4
		require.True(t, b.Exit(places[0], limit.Done, 0), "the limit has changed")
		synctest.Wait()
		require.Len(t, c.ended, 3)
		require.Equal(t, 4, b.Limit())
		alg.bounds.Typical = time.Second
		require.False(t, b.Exit(places[1], limit.Done, 0), "not the limit")
	})
}

func TestPlacesFromBeforeTeachNothing(t *testing.T) {
	b := bulkhead.New(limit.Fixed{Limit: 2})
	p := fill(t, b, 1)[0]
	alg := &script{bounds: limit.Bounds{Limit: 7}}
	b.Follow(alg)
	require.Equal(t, 7, b.Limit())
	b.Exit(p, limit.Done, 0)
	require.Empty(t, alg.samples)
	p = fill(t, b, 1)[0]
	b.Follow(limit.Fixed{Limit: 3})
	b.Exit(p, limit.Done, 0)
	require.Empty(t, alg.samples)
	require.True(t, b.Idle())
	require.Equal(t, 3, b.Limit())
}

func TestPlacesUnderOneAlgorithmTeachNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &script{bounds: limit.Bounds{Limit: 2}}, &script{bounds: limit.Bounds{Limit: 2}}
		b := bulkhead.New(first)
		before := fill(t, b, 1)[0]
		time.Sleep(time.Second)
		b.Follow(second)
		since := fill(t, b, 1)[0]
		b.Exit(before, limit.Done, 0)
		require.Empty(t, second.samples)
		b.Exit(since, limit.Done, 0)
		require.Len(t, second.samples, 1)
		require.Empty(t, first.samples)
	})
}

// wobble names another limit for each try.
type wobble struct {
	most int
	rng  *rand.Rand
	now  int
}

func (w *wobble) Bounds() limit.Bounds {
	return limit.Bounds{Limit: 1 + w.now, Queue: 8, Wait: 100 * time.Microsecond, Standing: 20 * time.Microsecond}
}

func (w *wobble) Learn(limit.Sample) { w.now = w.rng.IntN(w.most) }

// Callers come, wait, cancel, lend their places and go while limits and
// algorithms change: nobody is lost, and never are more in flight than the
// largest limit and those who took back what they had lent.
func TestNoPlaceIsLostUnderRace(t *testing.T) {
	const most = 6
	newAlgorithm := func() limit.Algorithm { return &wobble{most: most, rng: rand.New(rand.NewPCG(1, 2))} }
	b := bulkhead.New(newAlgorithm())
	var inFlight, lent, excess atomic.Int64
	var all sync.WaitGroup
	for worker := range 16 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(worker), 0))
			for i := range 300 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+rng.IntN(300))*time.Microsecond)
				p, _, ok := b.Enter(ctx)
				if !ok {
					var v bulkhead.Verdict
					p, v = b.Wait(ctx, bulkhead.Rank(rng.IntN(bulkhead.Ranks)))
					ok = v == bulkhead.Admitted
				}
				cancel()
				if i%50 == 0 {
					b.Follow(newAlgorithm())
				}
				if !ok {
					continue
				}
				if inFlight.Add(1) > most+lent.Load() {
					excess.Add(1)
				}
				runtime.Gosched()
				switch rng.IntN(4) {
				case 0: // lends it and comes back
					lent.Add(1)
					b.Pause()
					runtime.Gosched()
					b.Resume()
					inFlight.Add(-1)
					b.Exit(p, limit.Done, 0)
					lent.Add(-1)
				case 1: // lends it for good
					lent.Add(1)
					b.Pause()
					inFlight.Add(-1)
					b.Quit(p)
					lent.Add(-1)
				default:
					inFlight.Add(-1)
					b.Exit(p, limit.Done, 0)
				}
			}
		})
	}
	all.Wait()
	require.Zero(t, excess.Load())
	require.True(t, b.Idle())
	require.Equal(t, bulkhead.Occupancy(0), b.Occupancy())
	b.Follow(limit.Fixed{Limit: most})
	fill(t, b, most)
}

// Close comes at the very moment at which the last ones leave and the queue is
// served.
func TestCloseMissesNobodyUnderRace(t *testing.T) {
	for range 300 {
		b := bulkhead.New(limit.Fixed{Limit: 2, Queue: 4, Wait: forever, Standing: -1})
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				p, _, ok := b.Enter(t.Context())
				if !ok {
					var v bulkhead.Verdict
					p, v = b.Wait(t.Context(), 0)
					ok = v == bulkhead.Admitted
				}
				if ok {
					b.Pause()
					b.Resume()
					b.Exit(p, limit.Done, 0)
				}
			})
		}
		runtime.Gosched()
		<-b.Close()
		require.Equal(t, 0, b.Occupancy().InFlight())
		all.Wait()
		require.True(t, b.Idle())
	}
}
