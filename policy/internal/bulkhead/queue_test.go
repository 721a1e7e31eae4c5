package bulkhead_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy/internal/bulkhead"
	"github.com/magnetar-go/magnetar/policy/internal/limit"
)

const forever = -1

// fill enters n times.
func fill(t *testing.T, b *bulkhead.Bulkhead, n int) []bulkhead.Place {
	t.Helper()
	var places []bulkhead.Place
	for range n {
		p, _, ok := b.Enter(t.Context())
		require.True(t, ok)
		places = append(places, p)
	}
	return places
}

// waiter is one that has waited.
type waiter struct {
	who     int
	verdict bulkhead.Verdict
	place   bulkhead.Place
}

// crowd is those who wait, counted from 0 in the order they came.
type crowd struct {
	bulkhead *bulkhead.Bulkhead
	came     int
	ended    chan waiter
}

func crowdBefore(b *bulkhead.Bulkhead) *crowd {
	return &crowd{bulkhead: b, ended: make(chan waiter, 1000)}
}

// add starts one waiter of each rank, one after the other.
func (c *crowd) add(ctx context.Context, ranks ...bulkhead.Rank) {
	for _, rank := range ranks {
		who := c.came
		c.came++
		go func() {
			p, v := c.bulkhead.Wait(ctx, rank)
			c.ended <- waiter{who, v, p}
		}()
		synctest.Wait()
	}
}

// next is the one whose wait has ended; it must be the only one.
func (c *crowd) next(t *testing.T) waiter {
	t.Helper()
	synctest.Wait()
	require.Len(t, c.ended, 1)
	return <-c.ended
}

// order ends one try after the other and returns who got in.
func (c *crowd) order(t *testing.T, first bulkhead.Place) []int {
	t.Helper()
	var order []int
	c.bulkhead.Exit(first, limit.Done, 0)
	for c.bulkhead.Occupancy().InFlight() > 0 {
		w := c.next(t)
		require.Equal(t, bulkhead.Admitted, w.verdict)
		order = append(order, w.who)
		c.bulkhead.Exit(w.place, limit.Done, 0)
	}
	return order
}

func TestQueueIsServedByRankAndThenInOrder(t *testing.T) {
	cases := map[string]struct {
		ranks []bulkhead.Rank
		want  []int
	}{
		"one rank":        {[]bulkhead.Rank{5, 5, 5, 5}, []int{0, 1, 2, 3}},
		"rising ranks":    {[]bulkhead.Rank{0, 1, 2, 63}, []int{3, 2, 1, 0}},
		"mixed":           {[]bulkhead.Rank{7, 40, 7, 40, 0}, []int{1, 3, 0, 2, 4}},
		"beyond the last": {[]bulkhead.Rank{63, 200, 62}, []int{0, 1, 2}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := bulkhead.New(limit.Fixed{Limit: 1, Queue: 10, Wait: forever, Standing: -1})
				c, first := crowdBefore(b), fill(t, b, 1)[0]
				c.add(t.Context(), tc.ranks...)
				time.Sleep(time.Hour) // never standing
				require.Equal(t, tc.want, c.order(t, first))
				require.True(t, b.Idle())
			})
		})
	}
}

func TestStandingQueueServesTheNewestFirst(t *testing.T) {
	const standing = 50 * time.Millisecond
	cases := map[string]struct {
		wait time.Duration
		want []int
	}{
		"short":        {standing, []int{0, 1, 2, 3}},
		"standing":     {standing + 1, []int{2, 1, 0, 3}},
		"for a minute": {time.Minute, []int{2, 1, 0, 3}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := bulkhead.New(limit.Fixed{Limit: 1, Queue: 10, Wait: forever, Standing: standing})
				c, first := crowdBefore(b), fill(t, b, 1)[0]
				c.add(t.Context(), 9, 9, 9, 3)
				time.Sleep(tc.wait)
				require.Equal(t, tc.want, c.order(t, first))
			})
		})
	}
}

func TestFullQueueGivesWayToRank(t *testing.T) {
	const standing = 10 * time.Millisecond
	cases := map[string]struct {
		queued   []bulkhead.Rank
		aged     time.Duration
		newcomer bulkhead.Rank
		evicted  int // of those queued; -1: the newcomer is refused
	}{
		"lower rank":                    {[]bulkhead.Rank{5, 3, 4}, 0, 4, 1},
		"oldest of the lowest":          {[]bulkhead.Rank{5, 3, 3}, 0, 9, 1},
		"equal rank":                    {[]bulkhead.Rank{3, 3, 3}, 0, 3, -1},
		"equal rank, standing":          {[]bulkhead.Rank{3, 3, 3}, 2 * standing, 3, 0},
		"higher ranks":                  {[]bulkhead.Rank{5, 6, 7}, 0, 4, -1},
		"higher ranks, standing":        {[]bulkhead.Rank{5, 6, 7}, time.Hour, 4, -1},
		"equal to the lowest, standing": {[]bulkhead.Rank{7, 4, 7}, time.Hour, 4, 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := bulkhead.New(limit.Fixed{Limit: 1, Queue: 3, Wait: forever, Standing: standing})
				c, first := crowdBefore(b), fill(t, b, 1)[0]
				c.add(t.Context(), tc.queued...)
				time.Sleep(tc.aged)
				c.add(t.Context(), tc.newcomer)
				want := waiter{who: tc.evicted, verdict: bulkhead.Evicted}
				if tc.evicted < 0 {
					want = waiter{who: 3, verdict: bulkhead.Full}
				}
				require.Equal(t, want, c.next(t))
				require.Equal(t, 3, b.Occupancy().Queued())
				require.Len(t, c.order(t, first), 3)
			})
		})
	}
}

func TestThereIsNoEvictionWithoutAQueue(t *testing.T) {
	b := bulkhead.New(limit.Fixed{Limit: 1})
	fill(t, b, 1)
	_, v := b.Wait(t.Context(), 63)
	require.Equal(t, bulkhead.NoQueue, v)
}

func TestWaitEntersAtOnceWhereThereIsRoom(t *testing.T) {
	b := bulkhead.New(limit.Fixed{Limit: 1})
	p, v := b.Wait(t.Context(), 0)
	require.Equal(t, bulkhead.Admitted, v)
	require.False(t, b.Idle())
	b.Exit(p, limit.Done, 0)
	require.True(t, b.Idle())
}

// Inbound trap 25.
func TestNobodyWaitsForLongerThanTheBound(t *testing.T) {
	const patience = 100 * time.Millisecond
	cases := map[string]struct {
		standing time.Duration
		shrink   bool
	}{
		"FIFO":   {-1, false},
		"LIFO":   {time.Millisecond, false},
		"shrink": {-1, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bounds := limit.Fixed{Limit: 4, Queue: 20, Wait: patience, Standing: tc.standing}
				b := bulkhead.New(bounds)
				c := crowdBefore(b)
				places := fill(t, b, 4)
				c.add(t.Context(), make([]bulkhead.Rank, 20)...)
				if tc.shrink {
					bounds.Limit = 1
					b.Follow(bounds)
				}
				time.Sleep(patience / 2)
				b.Exit(places[0], limit.Done, 0)
				time.Sleep(patience/2 - 1)
				synctest.Wait()
				admitted := len(c.ended)
				require.LessOrEqual(t, admitted, 1)
				time.Sleep(1)
				synctest.Wait()
				require.Len(t, c.ended, 20)
				require.Equal(t, 0, b.Occupancy().Queued())
				for i := range 20 {
					w := <-c.ended
					require.Equal(t, i >= admitted, w.verdict == bulkhead.Expired)
				}
			})
		})
	}
}

func TestQueueLetsNobodyInWhoCannotEndInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const typical = 100 * time.Millisecond
		b := bulkhead.New(limit.Fixed{Limit: 1, Queue: 10, Wait: forever, Standing: -1, Typical: typical})
		c, first := crowdBefore(b), fill(t, b, 1)[0]
		for _, left := range []time.Duration{typical - 1, typical, 3 * typical, time.Hour} {
			ctx, cancel := context.WithTimeout(t.Context(), left)
			defer cancel()
			c.add(ctx, 0)
		}
		require.Equal(t, waiter{who: 0, verdict: bulkhead.Unmeetable}, c.next(t), "on arrival")
		time.Sleep(typical / 2)
		b.Exit(first, limit.Done, 0)
		synctest.Wait()
		require.ElementsMatch(t, []waiter{
			{who: 1, verdict: bulkhead.Unmeetable}, // by now
			{who: 2, verdict: bulkhead.Admitted},
		}, []waiter{<-c.ended, <-c.ended})
		b.Exit(bulkhead.Place{}, limit.Done, 0)
		require.Equal(t, waiter{who: 3, verdict: bulkhead.Admitted}, c.next(t))
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

func TestPlaceOfOneWhoIsGoneGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.New(limit.Fixed{Limit: 1, Queue: 10, Wait: forever, Standing: -1})
		c, first := crowdBefore(b), fill(t, b, 1)[0]
		ctx := &leaver{Context: context.Background()}
		c.add(ctx, 9)
		c.add(t.Context(), 0)
		ctx.gone.Store(true)
		b.Exit(first, limit.Done, 0)
		synctest.Wait()
		require.Equal(t, bulkhead.Canceled, (<-c.ended).verdict)
		w := c.next(t)
		require.Equal(t, waiter{who: 1, verdict: bulkhead.Admitted}, w)
		b.Exit(w.place, limit.Done, 0)
		require.True(t, b.Idle())
	})
}

// Inbound trap 26.
func TestBoundsThatShrinkAdmitNobodyUntilDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bounds := limit.Fixed{Limit: 4, Queue: 10, Wait: forever, Standing: -1}
		b := bulkhead.New(bounds)
		c, places := crowdBefore(b), fill(t, b, 4)
		c.add(t.Context(), 0, 0, 0)
		bounds.Limit = 2
		b.Follow(bounds)
		for _, p := range places[:2] {
			b.Exit(p, limit.Done, 0)
			_, _, ok := b.Enter(t.Context())
			require.False(t, ok)
		}
		synctest.Wait()
		require.Empty(t, c.ended)
		b.Exit(places[2], limit.Done, 0)
		require.Equal(t, 0, c.next(t).who)

		bounds.Limit = 4 // whoever still waits is let in
		b.Follow(bounds)
		synctest.Wait()
		require.Len(t, c.ended, 2)
		require.Equal(t, 4, b.Occupancy().InFlight())
	})
}

func TestQueueThatShrinksKeepsThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.New(limit.Fixed{Limit: 1, Queue: 5, Wait: forever, Standing: -1})
		c, first := crowdBefore(b), fill(t, b, 1)[0]
		c.add(t.Context(), 0, 0, 0, 0)
		b.Follow(limit.Fixed{Limit: 1, Queue: 2, Wait: forever, Standing: -1})
		c.add(t.Context(), 0)
		require.Equal(t, waiter{who: 4, verdict: bulkhead.Full}, c.next(t))
		require.Equal(t, []int{0, 1, 2, 3}, c.order(t, first))
	})
}
