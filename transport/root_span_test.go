package transport_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

func TestCallWithoutParentIsTraced(t *testing.T) {
	names, traceparent := tracedCall(t, sdktrace.AlwaysSample())
	require.Contains(t, names, "call GET")
	require.Contains(t, names, "GET")
	require.True(t, strings.HasSuffix(traceparent, "-01"), traceparent)
}

func TestCallThatIsNotSampledTellsThePeerSo(t *testing.T) {
	names, traceparent := tracedCall(t, sdktrace.NeverSample())
	require.Empty(t, names)
	require.True(t, strings.HasSuffix(traceparent, "-00"), traceparent)
}

// tracedCall makes a call with nothing but a tracer, and returns the names of
// its spans and what the peer was told.
func tracedCall(t *testing.T, sampler sdktrace.Sampler) (names []string, traceparent string) {
	t.Helper()
	ended := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler), sdktrace.WithSpanProcessor(ended))
	base := roundTrip(func(req *http.Request) (*http.Response, error) {
		traceparent = req.Header.Get("Traceparent")
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("ok")), Request: req}, nil
	})
	client := &http.Client{Transport: transport.New(base, transport.Default(), transport.WithTelemetry(otel.New(
		otel.WithTracerProvider(provider), otel.WithPropagators(propagation.TraceContext{}))))}
	resp, err := client.Get("http://service.test/")
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	for _, s := range ended.Ended() {
		names = append(names, s.Name())
	}
	return names, traceparent
}

func TestSpanOfEachTrySaysWhatItFailedWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := tracetest.NewSpanRecorder()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended))
		p := newPeer(failing(errReset), status(http.StatusServiceUnavailable), failing(errReset))
		_, err := transport.New(p, transport.Default(), sendingOn(otel.WithTracerProvider(provider))).RoundTrip(get(t))
		require.ErrorIs(t, err, policy.ErrMaxRetriesExceeded)
		reset := sdktrace.Status{Code: codes.Error, Description: errReset.Error()}
		var got []sdktrace.Status
		for _, s := range ended.Ended() {
			if s.SpanKind() == trace.SpanKindClient {
				got = append(got, s.Status())
			}
		}
		require.Equal(t, []sdktrace.Status{reset, {Code: codes.Error}, reset}, got)
		last := ended.Ended()[len(ended.Ended())-1]
		require.Equal(t, "call GET", last.Name())
		require.Equal(t, sdktrace.Status{Code: codes.Error, Description: err.Error()}, last.Status())
	})
}
