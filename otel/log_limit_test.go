package otel_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	api "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

func refusedFor(key string) policy.Decision {
	return policy.Decision{Policy: policy.PolicyShed, Action: policy.ActionRefuse, Reason: policy.ReasonLimitReached, Key: key}
}

// limited runs test in a bubble with an observer of the default interval, or
// what opts say.
func limited(t *testing.T, book *logbook, test func(*testing.T, *otel.LogObserver), opts ...otel.LogOption) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := otel.NewLogObserver(slog.New(book), opts...)
		defer o.Close()
		test(t, o)
	})
}

// pass lets d of time pass, and all that was to happen in it.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestLogObserverSumsAStormUp(t *testing.T) {
	const refusals, keys, seconds = 100_000, 100, 25 // three intervals begin
	book := new(logbook)
	limited(t, book, func(t *testing.T, o *otel.LogObserver) {
		for i := range refusals {
			o.Observe(t.Context(), refusedFor(strconv.Itoa(i%keys)))
			if i%(refusals/seconds) == 0 {
				pass(time.Second)
			}
		}
		pass(time.Hour)
		lines := book.take()
		require.Len(t, lines, keys*(1+3), "the first and a summary for each interval")
		require.Equal(t, refusals, decisions(lines))
	})
}

func TestLogObserverSummaryComesWhenTheStormIsOver(t *testing.T) {
	book := new(logbook)
	limited(t, book, func(t *testing.T, o *otel.LogObserver) {
		for i := range 4 {
			d := refusedFor("a")
			d.InFlight, d.Err = i, fmt.Errorf("failure %d", i)
			o.Observe(t.Context(), d)
			pass(time.Second)
		}
		require.Equal(t, `magnetar.shed.refuse error="failure 0" key=a reason=limit_reached`, book.text())
		pass(6*time.Second - 1)
		require.Empty(t, book.text())
		pass(1)
		require.Equal(t, `magnetar.shed.refuse error="failure 3" in_flight=3 key=a over=10s reason=limit_reached suppressed=3`, book.text())

		o.Observe(t.Context(), refusedFor("a"))
		require.Empty(t, book.text(), "the summary has begun an interval")
		pass(10 * time.Second)
		require.Equal(t, `magnetar.shed.refuse key=a over=10s reason=limit_reached suppressed=1`, book.text())

		pass(10 * time.Second)
		o.Observe(t.Context(), refusedFor("a"))
		require.Equal(t, `magnetar.shed.refuse key=a reason=limit_reached`, book.text(), "forgotten")
	})
}

func TestLogObserverIsSilentWhereNothingWasSuppressed(t *testing.T) {
	book := new(logbook)
	limited(t, book, func(t *testing.T, o *otel.LogObserver) {
		for range 5 {
			o.Observe(t.Context(), refusedFor("a"))
			require.Len(t, book.take(), 1)
			pass(10 * time.Second)
		}
		require.Empty(t, book.take())
	})
}

func TestLogObserverTellsKindsApart(t *testing.T) {
	kinds := []policy.Decision{refusedFor("a"), refusedFor("b"), refusedFor(""), refusedFor("a"), refusedFor("a"), refusedFor("a"), refusedFor("a")}
	kinds[2].Policy = policy.PolicyConcurrency
	kinds[3].Reason = policy.ReasonQueueFull
	kinds[4].Action = policy.ActionTimeout
	kinds[5].Endpoint = "192.0.2.1:443"
	kinds[6].Shadow = true
	book := new(logbook)
	limited(t, book, func(t *testing.T, o *otel.LogObserver) {
		for i := range 7 * len(kinds) {
			d := kinds[i%len(kinds)]
			d.Attempt, d.Route, d.Queued = i, "/"+strconv.Itoa(i), i // of no account
			o.Observe(t.Context(), d)
		}
		first := book.take()
		require.Len(t, first, len(kinds))
		pass(10 * time.Second)
		summaries := book.take()
		require.Len(t, summaries, len(kinds))
		for i, s := range summaries {
			require.Equal(t, 6, s.stands())
			require.Equal(t, first[i].msg, s.msg)
			require.Equal(t, first[i].level, s.level)
			for _, same := range []string{"reason", "key", "endpoint", "shadow"} {
				require.Equal(t, first[i].attrs[same], s.attrs[same])
			}
		}
		require.Equal(t, slog.LevelInfo, summaries[6].level, "in the shadow")
	})
}

func TestLogObserverSummaryHasTheTraceOfTheLastThatIsSampled(t *testing.T) {
	span := func(id byte, flags trace.TraceFlags) context.Context {
		return trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{id}, SpanID: trace.SpanID{id}, TraceFlags: flags,
		}))
	}
	const sampled = trace.FlagsSampled
	for name, c := range map[string]struct {
		origins []context.Context
		want    byte
		attr    string
	}{
		"sampled":    {[]context.Context{span(1, sampled), span(2, sampled), span(3, sampled)}, 3, "trace_id"},
		"some":       {[]context.Context{span(1, sampled), span(2, sampled), span(3, 0)}, 2, "trace_id"},
		"first":      {[]context.Context{span(1, sampled), span(2, 0), span(3, 0)}, 3, "trace_id"},
		"none":       {[]context.Context{span(1, 0), span(2, 0), span(3, 0)}, 3, "trace_id"},
		"background": {[]context.Context{span(1, 0), span(2, 0), otel.Background(span(3, sampled))}, 3, "cause_trace_id"},
	} {
		t.Run(name, func(t *testing.T) {
			book := new(logbook)
			limited(t, book, func(t *testing.T, o *otel.LogObserver) {
				for _, ctx := range c.origins {
					o.Observe(ctx, refusedFor("a"))
				}
				pass(10 * time.Second)
				summary := book.take()[1]
				require.Equal(t, trace.TraceID{c.want}.String(), summary.attrs[c.attr])
				if c.attr == "trace_id" {
					require.Equal(t, trace.TraceID{c.want}, summary.span.TraceID(), "for handlers that read it")
				} else {
					require.False(t, summary.span.IsValid())
				}
			})
		})
	}
}

func TestLogObserverIntervals(t *testing.T) {
	for _, c := range []struct {
		interval, first time.Duration // until the summary
	}{{0, 10 * time.Second}, {time.Minute, time.Minute}, {time.Nanosecond, time.Nanosecond}} {
		t.Run(c.interval.String(), func(t *testing.T) {
			book := new(logbook)
			limited(t, book, func(t *testing.T, o *otel.LogObserver) {
				began := time.Now()
				o.Observe(t.Context(), refusedFor("a"))
				o.Observe(t.Context(), refusedFor("a"))
				pass(time.Hour)
				lines := book.take()
				require.Len(t, lines, 2)
				require.Equal(t, c.first, lines[1].at.Sub(began))
				require.Equal(t, c.first, lines[1].attrs["over"])
			}, otel.WithLogInterval(c.interval))
		})
	}
}

func TestLogObserverWithoutAnIntervalLogsAll(t *testing.T) {
	book := new(logbook)
	o := otel.NewLogObserver(slog.New(book), otel.WithLogInterval(-1))
	for range 100 {
		o.Observe(t.Context(), refusedFor("a"))
	}
	require.Len(t, book.take(), 100)
	o.Close()
	o.Observe(t.Context(), refusedFor("a"))
	require.Empty(t, book.take())
}

func TestLogObserverDoesNotLimitDebugging(t *testing.T) {
	book := &logbook{level: slog.LevelDebug}
	limited(t, book, func(t *testing.T, o *otel.LogObserver) {
		for range 100 {
			o.Observe(t.Context(), decision)
		}
		pass(time.Hour)
		require.Len(t, book.take(), 100)
	})
}

func TestLogObserverIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		nth   func(i int) policy.Decision
		lines int
		last  logged
	}{
		"keys": {func(i int) policy.Decision { return refusedFor(strconv.Itoa(i)) }, 1000 + 1,
			logged{msg: "magnetar.shed.refuse", attrs: map[string]any{"key": "_OTHER", "reason": "limit_reached"}}},
		"endpoints": {func(i int) policy.Decision {
			d := refusedFor("a")
			d.Endpoint = strconv.Itoa(i)
			return d
		}, 1000 + 1, logged{msg: "magnetar.shed.refuse", attrs: map[string]any{"key": "_OTHER", "reason": "limit_reached"}}},
		"reasons": {func(i int) policy.Decision {
			d := refusedFor("a")
			d.Reason = policy.Reason(strconv.Itoa(i))
			return d
		}, 2000 + 1, logged{msg: "magnetar._OTHER._OTHER", attrs: map[string]any{"key": "_OTHER"}}},
	} {
		t.Run(name, func(t *testing.T) {
			const many = 5000
			book := new(logbook)
			limited(t, book, func(t *testing.T, o *otel.LogObserver) {
				for i := range many {
					o.Observe(t.Context(), c.nth(i))
				}
				lines := book.take()
				require.Len(t, lines, c.lines)
				pass(10 * time.Second)
				summaries := book.take()
				require.Len(t, summaries, 1)
				require.Equal(t, many-c.lines, summaries[0].stands())
				require.Equal(t, c.last.msg, summaries[0].msg)
				require.Equal(t, slog.LevelWarn, summaries[0].level)
				delete(summaries[0].attrs, "suppressed")
				delete(summaries[0].attrs, "over")
				require.Equal(t, c.last.attrs, summaries[0].attrs)

				o.Observe(t.Context(), c.nth(many))
				require.Len(t, book.take(), 1, "there is room again")
			})
		})
	}
}

func TestLogObserverKeepsNothingOfALongKey(t *testing.T) {
	const keys, size = 50, 1 << 20
	o := otel.NewLogObserver(slog.New(new(careless)))
	defer o.Close()
	before := heap()
	for i := range keys {
		key := strconv.Itoa(i) + strings.Repeat("k", size)
		for range 2 {
			o.Observe(t.Context(), refusedFor(key))
		}
	}
	require.Less(t, int64(heap())-int64(before), int64(keys*size/4))
	runtime.KeepAlive(o)
}

// careless is a handler that keeps no lines.
type careless struct{ logbook }

func (*careless) Handle(context.Context, slog.Record) error { return nil }

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestLogObserverClosesWithWhatIsOutstanding(t *testing.T) {
	book := new(logbook)
	limited(t, book, func(t *testing.T, o *otel.LogObserver) {
		for range 3 {
			o.Observe(t.Context(), refusedFor("a"))
			o.Observe(t.Context(), refusedFor("b"))
		}
		o.Observe(t.Context(), refusedFor("c"))
		pass(time.Second)
		require.Equal(t, 3, decisions(book.take()))
		o.Close()
		summaries := book.take()
		require.Len(t, summaries, 2)
		require.Equal(t, 4, decisions(summaries))
		require.Equal(t, time.Second, summaries[0].attrs["over"])

		o.Observe(t.Context(), refusedFor("d"))
		o.Close()
		pass(time.Hour)
		require.Empty(t, book.take())
	})
}

func TestLogObserverLeavesNoTimerBehind(t *testing.T) {
	gone := make(chan struct{})
	func() {
		o := otel.NewLogObserver(slog.New(new(logbook)), otel.WithLogInterval(time.Hour))
		runtime.AddCleanup(o, func(gone chan struct{}) { close(gone) }, gone)
		o.Observe(t.Context(), refusedFor("a"))
		o.Close()
	}()
	require.Eventually(t, func() bool {
		runtime.GC()
		select {
		case <-gone:
			return true
		default:
			return false
		}
	}, 10*time.Second, time.Millisecond)
}

// closing is a handler that closes its observer while a decision is on its way.
type closing struct {
	logbook
	observer *otel.LogObserver
}

func (c *closing) Enabled(context.Context, slog.Level) bool {
	c.observer.Close()
	return true
}

func TestLogObserverLogsNothingThatIsOvertakenByItsEnd(t *testing.T) {
	h := new(closing)
	h.observer = otel.NewLogObserver(slog.New(h))
	h.observer.Observe(t.Context(), refusedFor("a"))
	require.Empty(t, h.take())
}

func TestLogObserverSurvivesAHandlerThatPanics(t *testing.T) {
	var told []error
	api.SetErrorHandler(api.ErrorHandlerFunc(func(err error) { told = append(told, err) }))
	t.Cleanup(func() { api.SetErrorHandler(api.ErrorHandlerFunc(func(error) {})) })
	var broken atomic.Bool
	broken.Store(true)
	book := &logbook{meet: func(logged) {
		if broken.Load() {
			panic("disk full")
		}
	}}
	limited(t, book, func(t *testing.T, o *otel.LogObserver) {
		require.PanicsWithValue(t, "disk full", func() { o.Observe(t.Context(), refusedFor("a")) })
		o.Observe(t.Context(), refusedFor("a"))
		pass(10 * time.Second)
		require.Len(t, told, 1)
		require.ErrorContains(t, told[0], "disk full")

		broken.Store(false)
		o.Observe(t.Context(), refusedFor("a"))
		pass(10 * time.Second)
		require.Len(t, book.take(), 1)

		broken.Store(true)
		o.Observe(t.Context(), refusedFor("a"))
		o.Close()
		require.Len(t, told, 2)
	})
}

func TestLogObserverSurvivesAHandlerThatEndsItsGoroutine(t *testing.T) {
	var ends atomic.Bool
	book := &logbook{meet: func(logged) {
		if ends.Swap(false) {
			runtime.Goexit()
		}
	}}
	limited(t, book, func(t *testing.T, o *otel.LogObserver) {
		for range 2 {
			o.Observe(t.Context(), refusedFor("a"))
			o.Observe(t.Context(), refusedFor("b"))
		}
		book.take()
		ends.Store(true)
		pass(10 * time.Second)
		require.Equal(t, "b", book.take()[0].attrs["key"])
		o.Observe(t.Context(), refusedFor("a"))
		pass(10 * time.Second)
		require.Len(t, book.take(), 1)
	})
}

func TestLogObserverIsNotHeldUpByAHandlerThatBlocks(t *testing.T) {
	var stuck chan struct{}
	book := &logbook{meet: func(l logged) {
		if l.stands() > 1 {
			<-stuck
		}
	}}
	limited(t, book, func(t *testing.T, o *otel.LogObserver) {
		stuck = make(chan struct{}) // of the bubble
		observe := func() {
			for range 3 {
				o.Observe(t.Context(), refusedFor("a"))
			}
		}
		observe()
		before := runtime.NumGoroutine()
		for range 100 {
			pass(10 * time.Second)
			observe()
		}
		require.LessOrEqual(t, runtime.NumGoroutine(), before+1)
		close(stuck)
		pass(10 * time.Second)
		lines := book.take()
		require.Equal(t, 101*3, decisions(lines))
		require.Len(t, lines, 3, "what came while it was stuck is summarized at once")
	})
}

func TestLogObserverMayBeCalledByItsHandler(t *testing.T) {
	var o *otel.LogObserver
	book := &logbook{meet: func(l logged) {
		o.Observe(context.Background(), refusedFor("of the handler"))
		if l.attrs["key"] == "last" {
			o.Close()
		}
	}}
	synctest.Test(t, func(t *testing.T) {
		o = otel.NewLogObserver(slog.New(book))
		o.Observe(t.Context(), refusedFor("a"))
		o.Observe(t.Context(), refusedFor("a"))
		pass(10 * time.Second)
		require.Len(t, book.take(), 4, "two lines, two summaries")
		o.Observe(t.Context(), refusedFor("last"))
		pass(time.Hour)
		require.Len(t, book.take(), 2, "a summary as it closes")
	})
}

func TestLogObserverLosesNothingUnderConcurrency(t *testing.T) {
	const callers, each = 8, 2000
	book := new(logbook)
	o := otel.NewLogObserver(slog.New(book), otel.WithLogInterval(100*time.Microsecond))
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for i := range each {
				d := refusedFor(strconv.Itoa(i % 7))
				d.Err = errors.New(strconv.Itoa(caller))
				o.Observe(t.Context(), d)
			}
		})
	}
	all.Wait()
	o.Close()
	// A sweep may have one summary in hand still.
	require.Eventually(t, func() bool { return decisions(book.all()) == callers*each }, 10*time.Second, time.Millisecond)
}

func TestLogObserverMayBeClosedAtAnyTime(t *testing.T) {
	for range 50 {
		o := otel.NewLogObserver(slog.New(new(logbook)), otel.WithLogInterval(time.Microsecond))
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for i := range 50 {
					o.Observe(t.Context(), refusedFor(strconv.Itoa(i%3)))
				}
			})
		}
		all.Go(o.Close)
		all.Wait()
	}
}
