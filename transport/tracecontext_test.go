package transport_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	api "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/transport"
)

var w3c = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// sendingOn is telemetry with W3C's propagators and what else is given.
func sendingOn(opts ...otel.Option) transport.Option {
	return transport.WithTelemetry(otel.New(append(opts, otel.WithPropagators(w3c))...))
}

// inTrace is a context with what a request to a server brought along: its
// caller's span, and baggage.
func inTrace(t *testing.T, flags trace.TraceFlags) (context.Context, trace.SpanContext) {
	t.Helper()
	state, err := trace.ParseTraceState("vendor=1,other=2")
	require.NoError(t, err)
	caller := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: flags, TraceState: state, Remote: true,
	})
	return trace.ContextWithSpanContext(withBaggage(t), caller), caller
}

func withBaggage(t *testing.T) context.Context {
	t.Helper()
	b, err := baggage.Parse("tenant=7")
	require.NoError(t, err)
	return baggage.ContextWithBaggage(t.Context(), b)
}

// understood is what a server makes of the headers of a try.
func understood(try try) (trace.SpanContext, baggage.Baggage) {
	ctx := w3c.Extract(context.Background(), propagation.HeaderCarrier(try.header))
	return trace.SpanContextFromContext(ctx), baggage.FromContext(ctx)
}

// twoHops is a peer that fails the first try of each of two hops.
func twoHops() *peer {
	failed := status(http.StatusServiceUnavailable)
	return newPeer(failed, status(http.StatusFound, "Location", "http://other.test/"), failed, status(http.StatusOK))
}

// follow makes a call that must not change the headers of its request.
func follow(t *testing.T, ctx context.Context, p *peer, header http.Header, opts ...transport.Option) []try {
	t.Helper()
	req := get(t).WithContext(ctx)
	req.Header = header.Clone()
	resp, err := (&http.Client{Transport: transport.New(p, transport.Default(), opts...)}).Do(req)
	require.NoError(t, err)
	content(t, resp)
	require.Equal(t, header, req.Header, "the caller's own")
	return p.seen()
}

func TestEachTrySendsItsOwnSpanAndTheBaggage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := tracetest.NewSpanRecorder()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended))
		ctx, caller := inTrace(t, trace.FlagsSampled)
		tries := follow(t, ctx, twoHops(), http.Header{}, sendingOn(otel.WithTracerProvider(provider)))

		var spans []trace.SpanContext
		for _, s := range ended.Ended() {
			if s.SpanKind() == trace.SpanKindClient {
				spans = append(spans, s.SpanContext())
			}
		}
		require.Len(t, tries, 4)
		require.Len(t, spans, 4)
		for i, try := range tries {
			for _, name := range []string{"Traceparent", "Tracestate", "Baggage"} {
				require.Len(t, try.header[name], 1, "%s of try %d", name, i+1)
			}
			parent, carried := understood(try)
			require.True(t, parent.Equal(spans[i].WithRemote(true)), "try %d: %v, not %v", i+1, parent, spans[i])
			require.Equal(t, caller.TraceID(), parent.TraceID())
			require.True(t, parent.IsSampled())
			require.Equal(t, caller.TraceState(), parent.TraceState())
			require.Equal(t, "tenant=7", carried.String())
		}
	})
}

func TestTraceThatIsNotSampledIsSentOnAsSuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := tracetest.NewSpanRecorder()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended))
		ctx, caller := inTrace(t, 0)
		spans := map[trace.SpanID]bool{caller.SpanID(): true}
		for _, try := range follow(t, ctx, twoHops(), http.Header{}, sendingOn(otel.WithTracerProvider(provider))) {
			parent, carried := understood(try)
			require.Equal(t, caller.TraceID(), parent.TraceID())
			require.Zero(t, parent.TraceFlags())
			require.Equal(t, caller.TraceState(), parent.TraceState())
			require.Equal(t, "tenant=7", carried.String())
			spans[parent.SpanID()] = true
		}
		require.Len(t, spans, 5, "each try tells another parent")
		require.Empty(t, ended.Ended())
	})
}

func TestTraceAndBaggagePassThroughWithoutAnSDK(t *testing.T) {
	for name, flags := range map[string]trace.TraceFlags{"sampled": trace.FlagsSampled, "not sampled": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, caller := inTrace(t, flags)
				tries := follow(t, ctx, twoHops(), http.Header{}, sendingOn())
				require.Len(t, tries, 4)
				for _, try := range tries {
					parent, carried := understood(try)
					require.True(t, caller.Equal(parent), "%v, not %v", parent, caller)
					require.Equal(t, "tenant=7", carried.String())
				}
			})
		})
	}
}

func TestBaggageNeedsNoTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := follow(t, withBaggage(t), twoHops(), http.Header{}, sendingOn())
		require.Len(t, tries, 4)
		for _, try := range tries {
			_, carried := understood(try)
			require.Equal(t, "tenant=7", carried.String())
			require.Len(t, try.header["Baggage"], 1)
			require.NotContains(t, try.header, "Traceparent")
		}
	})
}

// A caller that writes the headers by hand, such as a proxy that copies those it
// gets, keeps what is not written over.
func TestHeadersSetByHandStayUnlessThereIsSomethingToSend(t *testing.T) {
	byHand := http.Header{
		"Traceparent": {"00-" + strings.Repeat("a", 32) + "-" + strings.Repeat("b", 16) + "-01"},
		"Tracestate":  {"hand=1"},
		"Baggage":     {"hand=1", "more=2"},
	}
	traced := sdktrace.NewTracerProvider()
	traceAlone := func(t *testing.T) context.Context {
		ctx, _ := inTrace(t, trace.FlagsSampled)
		return baggage.ContextWithoutBaggage(ctx)
	}
	for _, tt := range []struct {
		name string
		ctx  func(*testing.T) context.Context
		opts []otel.Option
		want http.Header // without a traceparent: another than that set by hand
	}{
		{"nothing to send", (*testing.T).Context, nil, byHand},
		{"baggage", withBaggage, nil, http.Header{
			"Traceparent": byHand["Traceparent"], "Tracestate": byHand["Tracestate"], "Baggage": {"tenant=7"},
		}},
		{"a trace with a state", traceAlone, nil, http.Header{
			"Traceparent": {"00-01000000000000000000000000000000-0200000000000000-01"},
			"Tracestate":  {"vendor=1,other=2"}, "Baggage": byHand["Baggage"],
		}},
		{"a trace of its own", (*testing.T).Context, []otel.Option{otel.WithTracerProvider(traced)}, http.Header{
			"Baggage": byHand["Baggage"],
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, try := range follow(t, tt.ctx(t), twoHops(), byHand, sendingOn(tt.opts...)) {
					got := try.header.Clone()
					delete(got, "Referer") // the client's, on a redirect
					if _, known := tt.want["Traceparent"]; !known {
						require.Len(t, got["Traceparent"], 1)
						require.NotEqual(t, byHand["Traceparent"], got["Traceparent"])
						delete(got, "Traceparent")
					}
					require.Equal(t, tt.want, got)
				}
			})
		})
	}
}

// The test runs in a process of its own, for a global propagator cannot be taken
// back, and the other tests want none.
func TestGlobalPropagatorIsUsedOnceItIsThere(t *testing.T) {
	const alone = "MAGNETAR_TEST_ALONE"
	if os.Getenv(alone) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), alone+"=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--- PASS: "+t.Name())
		return
	}
	p := newPeer(status(http.StatusOK))
	tr := transport.New(p, transport.Default())
	call := func() http.Header {
		resp, err := tr.RoundTrip(get(t).WithContext(withBaggage(t)))
		require.NoError(t, err)
		content(t, resp)
		seen := p.seen()
		return seen[len(seen)-1].header
	}
	require.NotContains(t, call(), "Baggage")
	api.SetTextMapPropagator(w3c)
	require.Equal(t, []string{"tenant=7"}, call()["Baggage"])
}
