package otel_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

// frame is what a console tells, as far as the tests look at it.
type frame struct {
	At, Started int64
	Traffic     []struct {
		Key                    string
		Inbound                bool
		Tries, Failed, Refused []int
		Mean, Slowest          []float64
	}
	Breakers, Limits, Budgets, Pools, Endpoints, Decisions []row
	More                                                   map[string]int
}

type row map[string]any

func ask(t testing.TB, c *otel.Console, method, accept string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, "/debug/magnetar", nil)
	r.Header.Set("Accept", accept)
	c.ServeHTTP(w, r)
	return w
}

func look(t testing.TB, c *otel.Console) frame {
	t.Helper()
	w := ask(t, c, http.MethodGet, "application/json")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	var f frame
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &f))
	return f
}

// lookAgain is look for other goroutines.
func lookAgain(c *otel.Console) (f frame) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept", "application/json")
	c.ServeHTTP(w, r)
	_ = json.Unmarshal(w.Body.Bytes(), &f) // zero is seen, too
	return f
}

func refused(key string) policy.Decision {
	return policy.Decision{
		Policy: policy.PolicyBreaker, Action: policy.ActionRefuse, Reason: policy.ReasonCircuitOpen, Key: key, Began: time.Now(),
	}
}

func TestConsoleCountsWhatComesAgainOnOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := otel.NewConsole()
		began := time.Now()
		for range 1000 {
			c.Observe(t.Context(), refused("api"))
			c.Observe(t.Context(), refused("db"))
			time.Sleep(time.Millisecond)
		}
		c.Observe(t.Context(), policy.Decision{Policy: policy.PolicyBreaker, Action: policy.ActionAdmit, Key: "api", Began: time.Now()})
		f := look(t, c)
		require.Len(t, f.Decisions, 2)
		last := float64(began.Add(999 * time.Millisecond).UnixMilli())
		for i, key := range []string{"db", "api"} {
			require.Equal(t, row{
				"id": float64(2 - i), "at": last, "began": float64(began.UnixMilli()), "count": 1000.0, "level": "warn",
				"policy": "breaker", "action": "refuse", "reason": "circuit_open", "key": key,
			}, f.Decisions[i])
		}

		time.Sleep(11 * time.Second)
		c.Observe(t.Context(), refused("api"))
		f = look(t, c)
		require.Len(t, f.Decisions, 3, "after a pause it is another story")
		require.Equal(t, 1.0, f.Decisions[0]["count"])
		require.Equal(t, 3.0, f.Decisions[0]["id"])
	})
}

func TestConsoleLinksTraces(t *testing.T) {
	c := otel.NewConsole(otel.WithTraceURL("http://localhost:16686/trace/{trace_id}?x={trace_id}"))
	span := func(id byte, flags trace.TraceFlags) context.Context {
		return trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{15: id}, SpanID: trace.SpanID{1}, TraceFlags: flags,
		}))
	}
	c.Observe(span(1, 0), refused("unsampled"))
	c.Observe(span(2, trace.FlagsSampled), refused("sampled"))
	c.Observe(t.Context(), refused("sampled")) // does not take the trace away
	c.Observe(otel.Background(span(3, trace.FlagsSampled)), refused("background"))
	f := look(t, c)
	require.Len(t, f.Decisions, 3)
	id := func(n int) string { return fmt.Sprintf("%032x", n) }
	require.Equal(t, id(3), f.Decisions[0]["trace"], "of the cause")
	require.Equal(t, id(2), f.Decisions[1]["trace"])
	require.Equal(t, "http://localhost:16686/trace/"+id(2)+"?x="+id(2), f.Decisions[1]["link"])
	require.Equal(t, id(1), f.Decisions[2]["trace"])
	require.NotContains(t, f.Decisions[2], "link")
}

func TestConsoleRefusesATraceURLThatIsNone(t *testing.T) {
	for _, u := range []string{"", "javascript:alert('{trace_id}')", "/trace/{trace_id}", "http://host/trace", "http:///{trace_id}", "http://[{trace_id}"} {
		require.Panics(t, func() { otel.NewConsole(otel.WithTraceURL(u)) }, u)
	}
}

func TestConsoleTellsWhyAndHowLong(t *testing.T) {
	c := otel.NewConsole()
	c.Observe(t.Context(), policy.Decision{
		Policy: policy.PolicyRetry, Action: policy.ActionWait, Reason: policy.ReasonError, Key: "api", Endpoint: "192.0.2.1:443",
		Route: "/orders/{id}", Note: "by hand", Priority: policy.Bulk, Shadow: true,
		Began: time.Now(), Took: 1500 * time.Microsecond, Err: errors.New("connection reset"),
	})
	d := look(t, c).Decisions[0]
	delete(d, "at")
	delete(d, "began")
	require.Equal(t, row{
		"id": 1.0, "count": 1.0, "level": "info", "policy": "retry", "action": "wait", "reason": "error", "key": "api",
		"endpoint": "192.0.2.1:443", "route": "/orders/{id}", "note": "by hand", "priority": "bulk", "shadow": true,
		"took": 1.5, "error": "connection reset",
	}, d)
}

func TestConsoleKeepsTheTextOfAnErrorUpToDate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := otel.NewConsole()
		made := 0
		d := refused("api")
		d.Err = lazyError(func() string { made++; return fmt.Sprintf("no. %d", made) })
		for range 25 {
			d.Began = time.Now()
			c.Observe(t.Context(), d)
			time.Sleep(100 * time.Millisecond)
		}
		require.Equal(t, "no. 3", look(t, c).Decisions[0]["error"])
	})
}

type lazyError func() string

func (f lazyError) Error() string { return f() }

// Nothing of the kit is locked while the text of an error is made.
func TestConsoleLetsAnErrorLookAtTheConsole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := otel.NewConsole()
		d := refused("api")
		d.Err = lazyError(func() string { return fmt.Sprint("after ", len(look(t, c).Decisions)) })
		c.Observe(t.Context(), d)
		time.Sleep(time.Second)
		require.Equal(t, "after 1", look(t, c).Decisions[0]["error"])
	})
}

func TestConsoleShowsTheLastMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := otel.NewConsole()
		for range 100 { // more than are shown
			now := time.Now()
			for i := range 10 {
				outcome := policy.Success
				if i < 3 {
					outcome = policy.Failure
				}
				c.ObserveResult(t.Context(), policy.Result{Key: "api", Ended: now, Took: time.Duration(i+1) * time.Millisecond, Outcome: outcome})
			}
			c.Observe(t.Context(), refused("api"))
			c.Observe(t.Context(), policy.Decision{Policy: policy.PolicyRateLimit, Action: policy.ActionAdmit, Key: "db", Began: now})
			c.Observe(t.Context(), policy.Decision{Policy: policy.PolicyBreaker, Action: policy.ActionAdmit, Key: "db", Began: now})
			for i, shadow := range []bool{false, false, true} {
				c.Observe(t.Context(), policy.Decision{
					Policy: policy.PolicyQuota, Action: policy.ActionRefuse, Key: fmt.Sprint("192.0.2.", i), Began: now, Shadow: shadow,
				})
			}
			time.Sleep(time.Second)
		}
		f := look(t, c)
		require.Len(t, f.Traffic, 4)
		sum, requests, api, db := f.Traffic[0], f.Traffic[1], f.Traffic[2], f.Traffic[3]
		require.Equal(t, []string{"", "", "api", "db"}, []string{sum.Key, requests.Key, api.Key, db.Key})
		require.True(t, requests.Inbound)
		require.False(t, sum.Inbound)
		for i := range 59 {
			require.Equal(t, 10, sum.Tries[i], "those whose results are told")
			require.Equal(t, 1, sum.Refused[i])
			require.Equal(t, 10, api.Tries[i], "admissions are no tries where results are told")
			require.Equal(t, 3, api.Failed[i])
			require.Equal(t, 1, api.Refused[i])
			require.Equal(t, 5.5, api.Mean[i])
			require.Equal(t, 10.0, api.Slowest[i])
			require.Equal(t, 1, db.Tries[i], "one policy's admissions, not those of all")
			require.Zero(t, db.Mean[i])
			require.Equal(t, 2, requests.Refused[i], "whichever client's; what was only told is an admission")
			require.Equal(t, 1, requests.Tries[i])
		}
		require.Zero(t, api.Tries[59], "the second under way")

		time.Sleep(2 * time.Minute)
		for _, m := range look(t, c).Traffic {
			require.Zero(t, slices.Max(m.Tries))
		}
	})
}

func TestConsoleShowsTheBusiestKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := otel.NewConsole()
		for i := range 500 {
			key := fmt.Sprintf("key-%03d", i)
			for range i + 1 {
				c.Observe(t.Context(), refused(key))
			}
		}
		f := look(t, c)
		require.Len(t, f.Traffic, 12)
		require.Equal(t, "(others)", f.Traffic[1].Key, "those for whom there was no room")
		require.Equal(t, "key-064", f.Traffic[2].Key, "the first was faint")
		require.Equal(t, 65, f.Traffic[2].Refused[59])
		require.Equal(t, 500*501/2, f.Traffic[0].Refused[59], "none is lost")

		time.Sleep(61 * time.Second)
		c.Observe(t.Context(), refused("fresh"))
		f = look(t, c)
		require.Equal(t, "fresh", f.Traffic[1].Key, "a key that is silent makes room")
		require.Len(t, f.Traffic, 12)
	})
}

func TestConsoleShowsWhatItWatches(t *testing.T) {
	c := otel.NewConsole()
	statuses := []policy.Status{
		{Policy: policy.PolicyBreaker, Key: "a", State: "closed", Calls: 20, Failures: 2},
		{Policy: policy.PolicyBreaker, Key: "b", State: "half_open", Trials: 1},
		{Policy: policy.PolicyBreaker, Key: "c", State: "open", Forced: true, RetryAfter: 1500 * time.Millisecond},
		{Policy: policy.PolicyConcurrency, Key: "a", Limit: 10, InFlight: 1},
		{Policy: policy.PolicyShed, Limit: 10, InFlight: 10, Queued: 4},
		{Policy: policy.PolicyQuota, Key: "default", Limit: 100, Per: time.Second, Keys: 7},
		{Policy: policy.PolicyThrottle, Key: "a"},
		{Policy: policy.PolicyThrottle, Key: "b", RetryAfter: 2 * time.Second},
		{Policy: policy.PolicyRetry, Key: "a", Tokens: 10, Limit: 10},
		{Policy: policy.PolicyRetry, Key: "b", Tokens: 0.5},
		{Policy: policy.PolicyPool, Key: "db", Limit: 5, Active: 5, Queued: 2, Oldest: time.Minute, Newest: time.Second},
		{Policy: policy.PolicyPool, Key: "a", Endpoint: "192.0.2.1:80", State: "healthy", Active: 1, Idle: 2, Latency: time.Millisecond},
		{Policy: policy.PolicyPool, Key: "a", Endpoint: "192.0.2.2:80", State: "ejected", Ejections: 3, Failures: 5, RetryAfter: time.Minute},
	}
	stop := c.Watch(slices.Values(statuses))
	f := look(t, c)
	require.Equal(t, []row{
		{"key": "c", "state": "open", "forced": true, "next_trial": 1500.0},
		{"key": "b", "state": "half_open", "trials": 1.0},
		{"key": "a", "state": "closed", "calls": 20.0, "failures": 2.0},
	}, f.Breakers)
	require.Equal(t, []row{
		{"policy": "throttle", "key": "b", "held": 2000.0},
		{"policy": "shed", "key": "", "limit": 10.0, "in_flight": 10.0, "queued": 4.0},
		{"policy": "concurrency", "key": "a", "limit": 10.0, "in_flight": 1.0},
		{"policy": "quota", "key": "default", "limit": 100.0, "per": 1000.0, "keys": 7.0},
	}, f.Limits)
	require.Equal(t, []row{{"key": "b", "tokens": 0.5}, {"key": "a", "tokens": 10.0, "max": 10.0}}, f.Budgets)
	require.Equal(t, []row{{
		"key": "db", "max": 5.0, "active": 5.0, "idle": 0.0, "waiting": 2.0, "oldest": 60000.0, "newest": 1000.0,
	}}, f.Pools)
	require.Equal(t, []row{
		{
			"key": "a", "endpoint": "192.0.2.2:80", "state": "ejected", "in_flight": 0.0, "active": 0.0, "idle": 0.0,
			"failures": 5.0, "ejections": 3.0, "returns": 60000.0,
		},
		{"key": "a", "endpoint": "192.0.2.1:80", "state": "healthy", "in_flight": 0.0, "active": 1.0, "idle": 2.0, "latency": 1.0},
	}, f.Endpoints)
	stop()
	stop()
	require.Eventually(t, func() bool { return len(look(t, c).Breakers) == 0 }, 10*time.Second, 10*time.Millisecond)
}

func TestConsoleWatchesRealPolicies(t *testing.T) {
	c := otel.NewConsole()
	breaker := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{FailureThreshold: 1}, policy.WithObserver(c), policy.WithKey("db"))
	_ = breaker.Do(t.Context(), func(context.Context) error { return errors.New("down") })
	err := breaker.Do(t.Context(), func(context.Context) error { return nil })
	require.ErrorIs(t, err, policy.ErrCircuitOpen)
	f := look(t, c)
	require.Equal(t, "open", f.Breakers[0]["state"])
	require.Equal(t, "refuse", f.Decisions[0]["action"])
	require.Equal(t, "open", f.Decisions[1]["action"])
	require.Equal(t, 1, f.Traffic[1].Refused[58]+f.Traffic[1].Refused[59])
	runtime.KeepAlive(breaker)
}

func TestConsoleCutsLongLists(t *testing.T) {
	c := otel.NewConsole()
	c.Watch(func(yield func(policy.Status) bool) {
		for i := range 10_000 {
			if !yield(policy.Status{Policy: policy.PolicyBreaker, Key: fmt.Sprintf("%05d", i), State: "closed", Failures: i % 7}) {
				return
			}
		}
	})
	f := look(t, c)
	require.Len(t, f.Breakers, 100)
	require.Equal(t, 9900, f.More["breakers"])
	require.Equal(t, 6.0, f.Breakers[0]["failures"])
	require.NotContains(t, f.More, "limits")
}

func TestConsoleWatchesSoManyAndNoMore(t *testing.T) {
	c := otel.NewConsole()
	looked := 0
	source := iter.Seq[policy.Status](func(func(policy.Status) bool) { looked++ })
	for range 10_002 {
		c.Watch(source)
	}
	c.Watch(source)()
	require.Equal(t, 2, look(t, c).More["sources"])
	require.Equal(t, 10_000, looked)
}

// A storm over many keys leaves the other decisions their place, and none of its
// own is lost.
func TestConsoleStormLeavesOthersRoom(t *testing.T) {
	c := otel.NewConsole()
	c.Observe(t.Context(), policy.Decision{Policy: policy.PolicyBreaker, Action: policy.ActionOpen, Key: "db", Began: time.Now()})
	for range 3 {
		for _, d := range refusals(1000) {
			c.Observe(t.Context(), d)
			d.Policy, d.Action = policy.PolicyRetry, policy.ActionGiveUp
			c.Observe(t.Context(), d)
		}
	}
	f := look(t, c)
	require.Equal(t, 2*76+1-100, f.More["decisions"])
	require.Len(t, f.Decisions, 100)
	var opened, counted float64
	for _, d := range f.Decisions {
		switch {
		case d["action"] == "open":
			opened++
		case d["key"] == "(others)":
			require.Equal(t, 3.0*(1000-75), d["count"], "none is lost")
			counted++
		default:
			require.Equal(t, 3.0, d["count"])
		}
	}
	require.Equal(t, 1.0, opened, "what the storm came from is not hidden by it")
	require.Equal(t, 2.0, counted)
}

func TestConsoleLinesOfAKindMakeRoomOnceTheyAreOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := otel.NewConsole()
		for _, d := range refusals(76) {
			c.Observe(t.Context(), d)
		}
		time.Sleep(11 * time.Second)
		c.Observe(t.Context(), refused("fresh"))
		require.Equal(t, "fresh", look(t, c).Decisions[0]["key"])
	})
}

func TestConsoleForgetsTheOldestLines(t *testing.T) {
	c := otel.NewConsole()
	for i := range 1000 {
		c.Observe(t.Context(), policy.Decision{Policy: "mine", Action: policy.Action(fmt.Sprint(i)), Began: time.Now()})
	}
	f := look(t, c)
	require.Equal(t, 200, f.More["decisions"])
	require.Equal(t, "999", f.Decisions[0]["action"])
	require.Equal(t, "900", f.Decisions[99]["action"])
}

// What happened is found again whatever the wall clock is set to meanwhile.
func TestConsoleFollowsTheMonotonicClock(t *testing.T) {
	c := otel.NewConsole()
	now := time.Now()
	c.ObserveResult(t.Context(), policy.Result{Key: "api", Ended: now.Add(-time.Hour).Add(time.Hour)})
	f := look(t, c)
	sum := 0
	for _, n := range f.Traffic[0].Tries[57:] {
		sum += n
	}
	require.Equal(t, 1, sum)
	require.GreaterOrEqual(t, f.Started, now.Add(-time.Minute).UnixMilli())
}

func TestConsoleMemoryIsBounded(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's memory counts")
	}
	long := strings.Repeat("x", 1<<16)
	c := otel.NewConsole()
	storm := func(n int) {
		for i := range n {
			key := fmt.Sprintf("%d-%s", i, long)
			d := refused(key)
			d.Reason, d.Endpoint, d.Route, d.Err = policy.Reason(fmt.Sprint(i%1000)), key, key, errors.New(key)
			c.Observe(context.Background(), d)
			c.ObserveResult(context.Background(), policy.Result{Key: key, Ended: time.Now()})
		}
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	storm(5000)
	for i := range 1000 { // a few bytes of something large
		large := fmt.Sprintf("%04d%s", i, long)
		d := refused(large[:4])
		d.Policy, d.Reason, d.Endpoint, d.Route, d.Note = large[:4], policy.Reason(large[:4]), large[:4], large[:4], large[:4]
		d.Err = errors.New(large[:4])
		c.Observe(context.Background(), d)
		c.ObserveResult(context.Background(), policy.Result{Key: large[:4], Ended: time.Now()})
	}
	after := heap()
	require.Less(t, int64(after-before), int64(2<<20))
	runtime.KeepAlive(c)
}

func TestConsoleShowsHostileTextAsText(t *testing.T) {
	c := otel.NewConsole()
	hostile := "<script>alert(1)</script>\u202egpj.exe\x00\x1b[2J\xff\n" + strings.Repeat("é", 5000)
	d := refused(hostile)
	d.Endpoint, d.Route, d.Note, d.Err = hostile, hostile, hostile, errors.New(hostile)
	c.Observe(t.Context(), d)
	c.Watch(slices.Values([]policy.Status{
		{Policy: hostile, Key: hostile}, {Policy: policy.PolicyBreaker, Key: hostile, State: hostile},
		{Policy: policy.PolicyRetry, Tokens: nan()},
	}))
	w := ask(t, c, http.MethodGet, "application/json")
	require.NotContains(t, w.Body.String(), "<script>", "escaped in JSON, too")
	f := look(t, c)
	shown := f.Decisions[0]["key"].(string)
	require.True(t, strings.HasPrefix(shown, "<script>alert(1)</script>\uFFFDgpj.exe\uFFFD\uFFFD[2J\uFFFD\uFFFDéé"), shown)
	require.True(t, strings.HasSuffix(shown, "é…"), shown)
	require.LessOrEqual(t, len(shown), 300)
	require.Equal(t, shown, f.Decisions[0]["error"])
	require.Equal(t, shown, f.Breakers[0]["key"])
	require.Equal(t, shown, f.Limits[0]["policy"])
	require.Equal(t, shown, f.Traffic[1].Key)
	require.Zero(t, f.Budgets[0]["tokens"])
}

func nan() float64 {
	zero := 0.0
	return zero / zero
}

func TestConsoleIsSafeForConcurrentUse(t *testing.T) {
	c := otel.NewConsole()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				d := refused(fmt.Sprint(i % 20))
				d.Err = errors.New("down")
				c.Observe(t.Context(), d)
				c.ObserveResult(t.Context(), policy.Result{Key: fmt.Sprint(g), Ended: time.Now()})
				stop := c.Watch(slices.Values([]policy.Status{{Policy: policy.PolicyRetry}}))
				if i%100 == 0 {
					look(t, c)
				}
				stop()
			}
		})
	}
	wg.Wait()
	require.Eventually(t, func() bool { // a frame is for a while
		total := 0.0
		for _, d := range look(t, c).Decisions {
			total += d["count"].(float64)
		}
		return total == 4000
	}, 10*time.Second, 10*time.Millisecond, "none is lost")
}

func TestConsoleThatIsNoneDoesNothing(t *testing.T) {
	var c *otel.Console
	breaker := policy.NewCircuitBreaker(policy.CircuitBreakerConfig{}, policy.WithObserver(c))
	_, err := breaker.Admit(t.Context())
	require.NoError(t, err)
	c.Observe(t.Context(), refused("api"))
	c.ObserveResult(t.Context(), policy.Result{})
	c.Watch(nil)()
	c.Close()
	require.Equal(t, http.StatusNotFound, ask(t, c, http.MethodGet, "*/*").Code)
	runtime.KeepAlive(breaker)
}

func TestConsoleAsksASourceThatPanicsNoMore(t *testing.T) {
	c := otel.NewConsole()
	asked := 0
	c.Watch(func(yield func(policy.Status) bool) {
		asked++
		yield(policy.Status{Policy: policy.PolicyRetry, Key: "broken"})
		panic("source")
	})
	c.Watch(nil)
	c.Watch(slices.Values([]policy.Status{{Policy: policy.PolicyRetry, Key: "well"}}))
	require.Len(t, look(t, c).Budgets, 2)
	require.Eventually(t, func() bool { return len(look(t, c).Budgets) == 1 }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, 1, asked)
}

// A source that hangs holds up who looked first, and nobody else who has a frame.
func TestConsoleSourceThatHangsHoldsUpOneViewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := otel.NewConsole()
		look(t, c)
		time.Sleep(time.Second)
		gate := make(chan struct{})
		c.Watch(func(func(policy.Status) bool) { <-gate })
		first := make(chan int64)
		go func() { first <- lookAgain(c).At }()
		synctest.Wait()
		before := look(t, c)
		close(gate)
		require.Equal(t, before.At+1000, <-first)
	})
}

func TestConsoleThatHasNoFrameYetIsWaitedForNoLongerThanTheViewerStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := otel.NewConsole()
		gate := make(chan struct{})
		c.Watch(func(func(policy.Status) bool) { <-gate })
		first := make(chan int64)
		go func() { first <- lookAgain(c).At }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		r.Header.Set("Accept", "text/event-stream")
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r) // returns
		require.NotContains(t, w.Body.String(), "data:")
		close(gate)
		<-first
	})
}

// Frames of very much take their share of a processor, and no more.
func TestConsoleLooksLessOftenWhereItTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := otel.NewConsole()
		looked := 0
		c.Watch(func(func(policy.Status) bool) {
			looked++
			time.Sleep(100 * time.Millisecond)
		})
		for range 200 {
			look(t, c)
			time.Sleep(100 * time.Millisecond)
		}
		require.Equal(t, 5, looked, "in 20 s")
	})
}

func TestConsoleKeepsWhatOthersVaryBy(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("Vary", "Origin")
	otel.NewConsole().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, []string{"Origin", "Accept"}, w.Header().Values("Vary"))
}
