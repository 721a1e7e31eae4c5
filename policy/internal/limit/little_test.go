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
