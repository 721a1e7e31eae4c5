package redislimit_test

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// Inbound trap 18: a black hole costs the timeout once, whoever asks.
func TestBlackHoleCostsTheTimeoutOnce(t *testing.T) {
	for _, mode := range []redislimit.OnFailure{redislimit.Open, redislimit.Closed, redislimit.Local} {
		t.Run(string(mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, client := newFake(t)
				var told journal
				s := newStore(t, client, redislimit.Config{OnFailure: mode, Replicas: 4}, redislimit.WithObserver(&told))
				hole := make(chan struct{})
				f.set(func() { f.hang = hole })
				began := time.Now()
				var wg sync.WaitGroup
				for i := range 100 {
					wg.Go(func() {
						time.Sleep(time.Duration(i) * time.Millisecond)
						_, _ = s.Take(t.Context(), "alice", 1, perSecond(100))
					})
				}
				wg.Wait()
				require.Equal(t, 100*time.Millisecond, time.Since(began), "all are told when the first is")
				began = time.Now()
				for range 1000 {
					_, _ = s.Take(t.Context(), "alice", 1, perSecond(100))
				}
				require.Zero(t, time.Since(began))
				require.Equal(t, policy.Open, s.Stats().State)
				require.EqualValues(t, 1100, s.Stats().Without)
				synctest.Wait()
				require.Contains(t, told.words(), "breaker open failures_in_a_row")
				close(hole)
				time.Sleep(time.Minute)
			})
		})
	}
}

// Nobody waits for the probes, and one that succeeds is enough.
func TestStoreComesBackByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		var told journal
		s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 4}, redislimit.WithObserver(&told))
		hole := make(chan struct{})
		f.set(func() { f.hang = hole })
		for i := range 8000 { // 8 s
			if i == 4000 {
				f.set(func() { f.hang = nil })
				close(hole)
			}
			began := time.Now()
			_, err := s.Take(t.Context(), "alice", 1, perSecond(1000))
			require.NoError(t, err)
			if i > 0 {
				require.Zero(t, time.Since(began))
			}
			time.Sleep(time.Millisecond)
		}
		st := s.Stats()
		require.Equal(t, policy.Closed, st.State)
		require.Less(t, st.Without, uint64(4000+2200))
		require.Contains(t, told.words(), "breaker half_open cooldown_over")
		require.Contains(t, told.words(), "breaker close trials_succeeded")
		require.Contains(t, told.words(), "rate_limit bypass store")
		require.NotContains(t, told.words(), "breaker admit ")
	})
}

func TestCallsThatCameInTimeAreAnsweredWhateverHappensAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		f.delay = 150 * time.Millisecond // too late
		s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Closed})
		_, err := s.Take(t.Context(), "alice", 1, perSecond(10))
		require.ErrorContains(t, err, "redis: no answer in time")
		require.ErrorIs(t, err, policy.ErrSaturated)
		_, err = s.Take(t.Context(), "alice", 1, perSecond(10))
		require.ErrorContains(t, err, "redis: not asked again yet, for: no answer in time")
		time.Sleep(time.Second)
		require.Equal(t, policy.Open, s.Stats().State, "the answer came too late")
	})
}

// What 4 processes admit on their own is what they admit together.
func TestLocalLimitIsAShareOfTheWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		f.err = answeredError("LOADING Redis is loading the dataset in memory")
		admitted := 0
		var fleet []*redislimit.Store
		for range 4 {
			fleet = append(fleet, newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 4}))
		}
		for range 10_000 { // 10 s
			for _, s := range fleet {
				levels, err := s.Take(t.Context(), "alice", 1, perSecond(100))
				require.NoError(t, err)
				if levels[0].Admitted {
					admitted++
				}
			}
			time.Sleep(time.Millisecond)
		}
		require.InDelta(t, 10*100+100, admitted, 4)
	})
}

// Whoever has used its share while Redis counted does not get it once more.
func TestNobodyBeginsAnewWhenRedisGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 4})
		admitted := 0
		take := func() {
			levels, err := s.Take(t.Context(), "alice", 1, perSecond(100))
			require.NoError(t, err)
			if levels[0].Admitted {
				admitted++
			}
		}
		for range 200 {
			take()
		}
		require.Equal(t, 100, admitted)
		f.set(func() { f.err = answeredError("LOADING") })
		for range 200 {
			take()
		}
		require.Equal(t, 100, admitted)
		time.Sleep(time.Second)
		for range 200 {
			take()
		}
		require.Equal(t, 125, admitted)
	})
}

// However often Redis goes and comes, the fleet stays within its limit.
func TestRedisLearnsWhatWasAdmittedWithoutIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		var fleet []*redislimit.Store
		for range 4 {
			fleet = append(fleet, newStore(t, client, redislimit.Config{
				OnFailure: redislimit.Local, Replicas: 4,
				Breaker: &policy.CircuitBreakerConfig{FailureThreshold: 1, SuccessThreshold: 1, Cooldown: 20 * time.Millisecond, MaxCooldown: 20 * time.Millisecond},
			}))
		}
		admitted, without := 0, uint64(0)
		order := rand.New(rand.NewPCG(1, 2))
		for i := range 18_000 { // 18 s, of which Redis is away for every other 3 s
			f.set(func() {
				f.err = nil
				if i/3000%2 == 1 {
					f.err = answeredError("LOADING")
				}
			})
			for _, j := range order.Perm(4) {
				levels, err := fleet[j].Take(t.Context(), "alice", 1, perSecond(100))
				require.NoError(t, err)
				if levels[0].Admitted {
					admitted++
				}
			}
			time.Sleep(time.Millisecond)
		}
		for _, s := range fleet {
			without += s.Stats().Without
		}
		require.Greater(t, without, uint64(4*9_000))
		require.LessOrEqual(t, admitted, 18*100+100+3*4, "but for the moments when some have noticed")
		require.GreaterOrEqual(t, admitted, 18*97)
	})
}

func TestWhatIsMoreThanAShareWaitsForAFullBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		f.err = answeredError("LOADING")
		s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 10})
		take := func(n int) policy.StoreLevel {
			levels, err := s.Take(t.Context(), "alice", n, perSecond(20)) // a share: 2, one in 500 ms
			require.NoError(t, err)
			return levels[0]
		}
		require.Equal(t, policy.StoreLevel{Admitted: true, Reset: 10 * time.Second}, take(20))
		require.Equal(t, policy.StoreLevel{Reset: 10 * time.Second, RetryAfter: 9500 * time.Millisecond}, take(1))
		require.Equal(t, policy.StoreLevel{Reset: 10 * time.Second, RetryAfter: -1}, take(21))
		time.Sleep(9500 * time.Millisecond)
		require.True(t, take(1).Admitted)
		require.Equal(t, policy.StoreLevel{Reset: time.Second, RetryAfter: time.Second}, take(3))
	})
}

func TestLocalKeysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, client := newFake(t)
		f.err = answeredError("LOADING")
		s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 1})
		daily := []policy.StoreLimit{{Name: "daily", Burst: 1, Interval: 24 * time.Hour}}
		passed := 0
		for i := range 70_000 {
			levels, err := s.Take(t.Context(), string(rune('a'+i%26))+time.Duration(i).String(), 1, daily)
			require.NoError(t, err)
			if levels[0].Admitted {
				passed++
			}
		}
		require.Less(t, passed, 65_536+256+1)
		require.Greater(t, passed, 60_000)
	})
}

// Errors of Redis become no admission that was not meant, and no text of theirs.
func TestErrorsOfRedisAreToldWithoutAddresses(t *testing.T) {
	dial := errors.New("dial tcp 192.0.2.1:6379: connect: connection refused")
	cases := []struct {
		name, says  string
		err, fault  error
		reply       any
		stays       bool // the breaker closed
		unwrapsInto error
	}{
		{name: "read only", err: answeredError("READONLY You can't write against a read only replica."), says: "READONLY: a replica answered"},
		{name: "loading", err: answeredError("LOADING Redis is loading the dataset in memory"), says: "LOADING: "},
		{name: "out of memory", err: answeredError("OOM command not allowed when used memory > 'maxmemory'."), says: "OOM: "},
		{name: "out of memory, Redis 6", err: answeredError("ERR Error running script (call to f_1): @user_script:34: @user_script: 34: -OOM command not allowed"), says: "OOM: "},
		{name: "moved", err: answeredError("MOVED 3999 192.0.2.7:6381"), says: "MOVED: it is part of a cluster"},
		{name: "ask", err: answeredError("ASK 3999 192.0.2.7:6381"), says: "ASK: "},
		{name: "wrong type", err: answeredError("WRONGTYPE Operation against a key"), says: "WRONGTYPE: ", stays: true},
		{name: "wrong type, Redis 6", err: answeredError("ERR Error running script (call to f_1): @user_script:8: WRONGTYPE Operation against a key holding the wrong kind of value"), says: "WRONGTYPE: ", stays: true},
		{name: "no password", err: answeredError("NOAUTH Authentication required."), says: "NOAUTH: "},
		{name: "something new", err: answeredError("NEWS at 192.0.2.7"), says: "it answered with an error"},
		{name: "nothing", reply: "", says: "an answer that our script does not give"},
		{name: "too little", reply: []any{int64(1)}, says: "an answer that our script does not give"},
		{name: "too much", reply: []any{int64(1), int64(0), int64(0)}, says: "an answer that our script does not give"},
		{name: "taken without room", reply: []any{int64(1), int64(1_000_000)}, says: "an answer that our script does not give"},
		{name: "not taken with room", reply: []any{int64(0), int64(0)}, says: "an answer that our script does not give"},
		{name: "negative", reply: []any{int64(1), int64(-1)}, says: "an answer that our script does not give"},
		{name: "beyond", reply: []any{int64(0), int64(1 << 60)}, says: "an answer that our script does not give"},
		{name: "words", reply: []any{"1", "0"}, says: "an answer that our script does not give"},
		{name: "refused", fault: dial, says: "no connection", unwrapsInto: dial},
		{name: "refused by the user's breaker", fault: &policy.Error{Reason: policy.ReasonCircuitOpen, Key: "192.0.2.1"}, says: "no connection"},
		{name: "permanent to the user", fault: policy.Permanent(dial), says: "no connection"},
		{name: "refused by time, by the user's pool", fault: &policy.Error{Reason: policy.ReasonAcquireTimeout, Err: context.DeadlineExceeded}, says: "no answer in time"},
		{name: "permanent by time", fault: policy.Permanent(context.DeadlineExceeded), says: "no answer in time"},
		{name: "permanent answer", fault: policy.Permanent(answeredError("LOADING")), says: "LOADING: "},
		{name: "deadline", fault: context.DeadlineExceeded, says: "no answer in time", unwrapsInto: context.DeadlineExceeded},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f, client := newFake(t)
			f.err, f.fault, f.reply = c.err, c.fault, c.reply
			for _, mode := range []redislimit.OnFailure{redislimit.Open, redislimit.Closed} {
				s := newStore(t, client, redislimit.Config{OnFailure: mode})
				levels, err := s.Take(t.Context(), "alice", 1, perSecond(10))
				require.Nil(t, levels)
				require.ErrorContains(t, err, c.says)
				require.NotContains(t, err.Error(), "192.0.2")
				require.Equal(t, mode == redislimit.Closed, policy.Refused(err))
				require.False(t, policy.IsPermanent(err))
				if c.unwrapsInto != nil {
					require.ErrorIs(t, err, c.unwrapsInto)
				}
				require.Equal(t, c.stays, s.Stats().State == policy.Closed)
			}
		})
	}
}

// watcher is an observer that looks.
type watcher struct {
	journal

	shown []iter.Seq[policy.Status]
}

func (w *watcher) Watch(s iter.Seq[policy.Status]) func() {
	w.shown = append(w.shown, s)
	return func() {}
}

func (w *watcher) status(t *testing.T) policy.Status {
	require.Len(t, w.shown, 1)
	for s := range w.shown[0] {
		return s
	}
	return policy.Status{}
}

func TestBreakerIsShownUnderTheNameOfTheStore(t *testing.T) {
	f, client := newFake(t)
	var w watcher
	s := newStore(t, client, redislimit.Config{}, redislimit.WithObserver(&w), redislimit.WithName("limits"))
	require.Equal(t, policy.Status{Policy: policy.PolicyBreaker, Key: "limits", State: "closed"}, w.status(t))
	f.set(func() { f.err = answeredError("LOADING") })
	_, err := s.Take(t.Context(), "alice", 1, perSecond(10))
	require.Error(t, err)
	require.Equal(t, "open", w.status(t).State)
	require.Eventually(t, func() bool { return len(w.words()) > 0 }, 10*time.Second, time.Millisecond)
	require.Equal(t, "limits", w.told[0].Key)
}
