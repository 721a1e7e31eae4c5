package limit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy/internal/limit"
)

// rush is callers who always wait before a service of 8 slots, 10 ms a try.
type rush struct {
	*limit.Little
	now time.Duration
}

// until goes on until the limit is what is asked for, and reports whether that
// was so before the end.
func (r *rush) until(end time.Duration, is func(limit int) bool) bool {
	for r.now < end {
		inFlight, granted := r.Bounds().Limit, r.now
		r.now += 10 * time.Millisecond * time.Duration(max(8, inFlight)) / 8
		for range inFlight {
			r.Learn(limit.Sample{InFlight: inFlight, Queued: 5, Granted: granted, Ended: r.now, Result: limit.Done})
			if is(r.Bounds().Limit) {
				return true
			}
		}
	}
	return false
}

func probing(limit int) bool { return limit < 6 }

// A try that fails, or whose caller goes away at once, tells nothing, but time
// passes all the same.
func TestProbeEndsThoughNoTryTellsAnything(t *testing.T) {
	cases := map[string]limit.Sample{
		"failures":      {Result: limit.Dropped},
		"quick cancels": {Result: limit.Missed},
	}
	for name, s := range cases {
		t.Run(name, func(t *testing.T) {
			r := &rush{Little: limit.NewLittle()}
			require.True(t, r.until(time.Minute, probing))
			for range 60 {
				r.now += time.Second
				s.InFlight, s.Granted, s.Ended = 1, r.now-time.Millisecond, r.now
				r.Learn(s)
			}
			require.False(t, probing(r.Bounds().Limit))
		})
	}
}

func TestProbeThatNobodyAnsweredDoesNotPutOffTheNext(t *testing.T) {
	r := &rush{Little: limit.NewLittle()}
	require.True(t, r.until(time.Minute, probing))
	r.now += 8 * time.Hour // nobody comes
	require.True(t, r.until(r.now+time.Second, func(limit int) bool { return !probing(limit) }), "given up")
	require.True(t, r.until(r.now+time.Hour, probing))
}

// mean is the limit over a time of steady rush, for probes lower it now and then.
func (r *rush) mean(lasting time.Duration, took time.Duration) float64 {
	sum, n := 0.0, 0.0
	for end := r.now + lasting; r.now < end; {
		inFlight, granted := r.Bounds().Limit, r.now
		r.now += took * time.Duration(max(8, inFlight)) / 8
		for range inFlight {
			r.Learn(limit.Sample{InFlight: inFlight, Queued: 5, Granted: granted, Ended: r.now, Result: limit.Done})
		}
		sum, n = sum+float64(r.Bounds().Limit), n+1
	}
	return sum / n
}

func TestLimitComesToTheSlots(t *testing.T) {
	r := &rush{Little: limit.NewLittle()}
	r.mean(20*time.Second, 10*time.Millisecond)
	require.InDelta(t, 9, r.mean(20*time.Second, 10*time.Millisecond), 2)
}

func TestSlowServiceKeepsItsSlots(t *testing.T) {
	r := &rush{Little: limit.NewLittle()}
	r.mean(20*time.Second, 10*time.Millisecond)
	r.mean(20*time.Second, 100*time.Millisecond)
	require.InDelta(t, 9, r.mean(20*time.Second, 100*time.Millisecond), 2)
	r.mean(20*time.Second, 10*time.Millisecond)
	require.InDelta(t, 9, r.mean(20*time.Second, 10*time.Millisecond), 2)
}

func TestLimitThatNobodyComesNearSinks(t *testing.T) {
	r := &rush{Little: limit.NewLittle()}
	for range 1000 {
		r.now += 100 * time.Millisecond
		r.Learn(limit.Sample{InFlight: 2, Granted: r.now - 20*time.Millisecond, Ended: r.now, Result: limit.Done})
	}
	require.Equal(t, 4, r.Bounds().Limit)
	require.InDelta(t, 20*time.Millisecond, r.Bounds().Typical, float64(time.Millisecond))
	for range 100 { // the base moves without a crowd
		r.now += 100 * time.Millisecond
		r.Learn(limit.Sample{InFlight: 1, Granted: r.now - 50*time.Millisecond, Ended: r.now, Result: limit.Done})
	}
	require.Greater(t, r.Bounds().Typical, 35*time.Millisecond)
}

// A queue is worth standing in for as long as there is time left afterwards.
func TestQueueStandsForLessTimeWhereCallersHaveLittle(t *testing.T) {
	cases := map[string]limit.Sample{
		"known":                 {Result: limit.Done, Deadline: 60 * time.Millisecond},
		"learned from who left": {Result: limit.Missed},
	}
	for name, s := range cases {
		t.Run(name, func(t *testing.T) {
			r := &rush{Little: limit.NewLittle()}
			r.mean(20*time.Second, 10*time.Millisecond)
			before := r.Bounds().Standing
			for range 2000 {
				granted := r.now
				r.now += 5 * time.Millisecond
				one := s
				one.InFlight, one.Queued = r.Bounds().Limit, 5
				one.Granted, one.Ended = granted, granted+40*time.Millisecond
				if one.Deadline > 0 {
					one.Deadline += granted
				}
				r.Learn(one)
			}
			require.Less(t, r.Bounds().Standing, before)
		})
	}
}

func TestFixedLearnsNothing(t *testing.T) {
	f := limit.Fixed{Limit: 3, Queue: 2}
	f.Learn(limit.Sample{InFlight: 3, Ended: time.Hour, Result: limit.Missed})
	require.Equal(t, limit.Bounds{Limit: 3, Queue: 2}, f.Bounds())
}
