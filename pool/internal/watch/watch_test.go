package watch_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool/internal/watch"
)

// asleep is an observer that nobody looks at.
type asleep struct{ told int }

func (a *asleep) Enabled(context.Context) bool             { return false }
func (a *asleep) Observe(context.Context, policy.Decision) { a.told++ }

func TestDecisionsCarryWhereTheyWereTaken(t *testing.T) {
	var told []policy.Decision
	o := policy.ObserverFunc(func(_ context.Context, d policy.Decision) { told = append(told, d) })
	w := watch.New(nil, o).At("https://a.example:443", "192.0.2.1:443")
	require.True(t, w.Wants(t.Context()))
	w.Tell(t.Context(), policy.Decision{Action: policy.ActionCreate, Took: time.Minute})
	w.Note(t.Context(), policy.Decision{Action: policy.ActionEject, Endpoint: "192.0.2.2:443"})

	require.Len(t, told, 2)
	require.Equal(t, policy.PolicyPool, told[0].Policy)
	require.Equal(t, "https://a.example:443", told[0].Key)
	require.Equal(t, "192.0.2.1:443", told[0].Endpoint)
	require.GreaterOrEqual(t, time.Since(told[0].Began), time.Minute, "it began before it was told")
	require.Equal(t, "192.0.2.2:443", told[1].Endpoint)
}

// What is noted in the background outlives its cause.
func TestNotesForgetTheirCause(t *testing.T) {
	cause, cancel := context.WithCancel(trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1},
	})))
	cancel()
	var ctx context.Context
	w := watch.New(policy.ObserverFunc(func(c context.Context, _ policy.Decision) { ctx = c }))
	w.Note(cause, policy.Decision{})
	require.NoError(t, ctx.Err())
	require.False(t, trace.SpanContextFromContext(ctx).IsValid())
}

func TestNobodyIsToldWhereNobodyLooks(t *testing.T) {
	var nobody watch.Watch
	require.False(t, nobody.Wants(t.Context()))
	require.NotPanics(t, func() { nobody.Note(t.Context(), policy.Decision{}) })

	o := new(asleep)
	w := watch.New(o)
	require.False(t, w.Wants(t.Context()))
	w.Note(t.Context(), policy.Decision{})
	require.Zero(t, o.told)
}
