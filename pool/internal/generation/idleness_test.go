package generation

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

func TestWhatIsLearnedAgainIsKnownForLonger(t *testing.T) {
	i, now := new(idleness), int64(0)
	for _, want := range []time.Duration{shortTerm, 2 * shortTerm, 4 * shortTerm} {
		require.True(t, i.learn(now, time.Second))
		now += int64(want) - 1
		require.False(t, i.forget(now), want)
		now++
		require.True(t, i.due(now), want)
		require.True(t, i.forget(now), want)
		require.Zero(t, i.allowed())
	}
	require.True(t, i.learn(now, time.Minute), "something else")
	require.True(t, i.forget(now+int64(shortTerm)))
	for range 100 {
		require.True(t, i.learn(now, time.Minute))
		require.LessOrEqual(t, i.term, longTerm)
		now = i.until.Load()
		require.True(t, i.forget(now))
	}
	i.reset()
	require.True(t, i.learn(now, time.Minute))
	require.Equal(t, shortTerm, i.term)
}

func TestShorterTimeIsLearnedWithinTheTerm(t *testing.T) {
	i := new(idleness)
	require.True(t, i.learn(0, time.Minute))
	require.False(t, i.learn(1, time.Hour))
	require.False(t, i.learn(1, 59*time.Second))
	require.True(t, i.learn(1, time.Second))
	require.Equal(t, idleLimit(800*time.Millisecond), i.allowed())
	require.False(t, i.learn(2, 0))
}

func TestHeaderIsKnownForAsLongAsItIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, seen := newMemory(), new(recorder)
		says := "timeout=5"
		base := m.serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Keep-Alive", says) }))
		s := New(Config{Base: base, IdleTimeout: 90 * time.Second, Watch: seen.watch()})
		limit := func() time.Duration {
			get(t, client(s), "http://upstream/")
			return s.current.Load().transport.IdleConnTimeout
		}
		for range 100 {
			require.Equal(t, 4*time.Second, limit())
			time.Sleep(3 * time.Minute)
		}
		time.Sleep(time.Hour)
		require.Equal(t, 4*time.Second, limit(), "after a quiet time")
		require.Len(t, seen.of(policy.ActionRotate, ""), 1)

		says = "timeout=60"
		require.Equal(t, 4*time.Second, limit())
		time.Sleep(shortTerm)
		require.Equal(t, 90*time.Second, limit(), "forgotten")
		require.Equal(t, 48*time.Second, limit(), "learned")
		require.Len(t, seen.of(policy.ActionRotate, policy.ReasonKeepAlive), 3)
		require.NoError(t, s.Close(t.Context()))
	})
}

func TestLessonEndsAndIsLearnedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, seen := newMemory(), new(recorder)
		m.idle = 10 * time.Second
		s := New(Config{Base: m.serve(t, echo), IdleTimeout: time.Minute, Watch: seen.watch()})
		for range 24 * 60 * 4 { // a day
			get(t, client(s), "http://upstream/")
			time.Sleep(15 * time.Second)
		}
		rotations := len(seen.of(policy.ActionRotate, policy.ReasonKeepAlive))
		require.Greater(t, rotations, 5)
		require.LessOrEqual(t, rotations, 2*8, "ten minutes doubled seven times are most of a day")
		require.NoError(t, s.Close(t.Context()))
	})
}

func TestRotationByHandForgetsTheLesson(t *testing.T) {
	base := new(http.Transport)
	for name, c := range map[string]struct {
		leave  func(*Set)
		forget bool
	}{
		"by hand":  {func(s *Set) { s.Rotate(t.Context(), policy.ReasonRotated, "") }, true},
		"rebase":   {func(s *Set) { s.Rebase(t.Context(), base, policy.ReasonRotated, "") }, true},
		"ejection": {func(s *Set) { s.Rotate(t.Context(), policy.ReasonEjected, "") }, false},
	} {
		s := New(Config{Base: base, IdleTimeout: time.Minute})
		s.expect(t.Context(), clock(), 2*time.Millisecond)
		require.True(t, s.current.Load().transport.DisableKeepAlives, name)
		c.leave(s)
		require.Equal(t, !c.forget, s.current.Load().transport.DisableKeepAlives, name)
		require.NoError(t, closeSet(s))
	}
}
