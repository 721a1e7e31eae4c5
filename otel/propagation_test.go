package otel_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"

	"github.com/magnetar-go/magnetar/otel"
)

var traceContext = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

func TestEachTryInjectsItsOwnSpan(t *testing.T) {
	r := record(t, otel.WithPropagators(traceContext))
	require.True(t, r.Injects())
	seen := make(map[string]bool)
	for resend := range 2 {
		ctx, try := r.StartAttempt(context.Background(), get(t, "http://example.com"), resend)
		h := make(http.Header)
		r.Inject(ctx, h)
		seen[h.Get("Traceparent")] = true
		try.End(nil)
	}
	require.Len(t, seen, 2)
	require.NotContains(t, seen, "")
}

func TestBaggageIsInjectedWithoutAnSDK(t *testing.T) {
	o := otel.New(otel.WithPropagators(traceContext))
	b, err := baggage.Parse("tenant=7")
	require.NoError(t, err)
	h := make(http.Header)
	o.Inject(baggage.ContextWithBaggage(context.Background(), b), h)
	require.Equal(t, http.Header{"Baggage": {"tenant=7"}}, h)
}

func TestPropagatorWithoutFieldsInjectsNothing(t *testing.T) {
	require.False(t, otel.New(otel.WithPropagators(propagation.NewCompositeTextMapPropagator())).Injects())
	require.False(t, otel.New().Injects(), "the API's default has none")
}
