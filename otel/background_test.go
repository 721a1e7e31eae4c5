package otel_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

func inPool(a policy.Action) policy.Decision {
	return policy.Decision{Policy: policy.PolicyPool, Action: a, Key: "https://a.example:443", Endpoint: "192.0.2.1:443"}
}

func TestDecisionsInTheBackgroundAreRootsLinkedToTheirCause(t *testing.T) {
	r := record(t)
	cause, request := r.parent()
	cause, cancel := context.WithCancel(cause)
	cancel()
	background := otel.Background(cause)
	require.NoError(t, background.Err(), "the cause may be long over")
	require.True(t, r.Enabled(background))

	d := inPool(policy.ActionRotate)
	d.Reason, d.Note, d.Age, d.Reused = policy.ReasonRotated, "new certificate", 1500*time.Millisecond, true
	r.Observe(background, d)

	span := r.span("magnetar.pool.rotate")
	require.False(t, span.Parent().IsValid())
	require.NotEqual(t, request.SpanContext().TraceID(), span.SpanContext().TraceID())
	require.Equal(t, []sdktrace.Link{{SpanContext: request.SpanContext()}}, span.Links())
	require.Equal(t, map[string]any{
		"magnetar.policy": "pool", "magnetar.action": "rotate", "magnetar.reason": "rotated",
		"magnetar.key": "https://a.example:443", "magnetar.endpoint": "192.0.2.1:443",
		"magnetar.note": "new certificate", "magnetar.connection.age": 1.5, "magnetar.connection.reused": true,
	}, attrs(span))
}

func TestDecisionsInTheBackgroundWithoutACauseHaveNoLink(t *testing.T) {
	r := record(t)
	r.Observe(otel.Background(t.Context()), inPool(policy.ActionEject))
	span := r.span("magnetar.pool.eject")
	require.False(t, span.Parent().IsValid())
	require.Empty(t, span.Links())
}

func TestRoutineOfAPoolIsADetail(t *testing.T) {
	slow, failed := inPool(policy.ActionAcquire), inPool(policy.ActionProbe)
	slow.Took, failed.Err = time.Second, errors.New("refused")
	for name, c := range map[string]struct {
		decision policy.Decision
		routine  bool
	}{
		"acquired at once":      {inPool(policy.ActionAcquire), true},
		"acquired after a wait": {slow, false},
		"probe":                 {inPool(policy.ActionProbe), true},
		"failed probe":          {failed, false},
		"created":               {inPool(policy.ActionCreate), false},
	} {
		t.Run(name, func(t *testing.T) {
			few, all := record(t, otel.WithDetail(otel.Consequential)), record(t)
			for _, r := range []recorder{few, all} {
				r.Observe(otel.Background(t.Context()), c.decision)
			}
			require.Len(t, all.names(), 1)
			require.Equal(t, c.routine, len(few.names()) == 0)
		})
	}
}
