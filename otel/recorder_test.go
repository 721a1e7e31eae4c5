package otel_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/otel"
)

// recorder is an SDK in memory with an observer that uses it.
type recorder struct {
	*otel.Observer
	t      testing.TB
	traces *sdktrace.TracerProvider
	spans  *tracetest.SpanRecorder
	reader *sdkmetric.ManualReader
}

func record(t testing.TB, opts ...otel.Option) recorder {
	r := recorder{t: t, spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	r.traces = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r.spans))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.reader))
	t.Cleanup(func() {
		require.NoError(t, r.traces.Shutdown(context.Background()))
		require.NoError(t, meters.Shutdown(context.Background()))
	})
	r.Observer = otel.New(append([]otel.Option{
		otel.WithTracerProvider(r.traces), otel.WithMeterProvider(meters),
	}, opts...)...)
	return r
}

// parent is a context with a span that records.
func (r recorder) parent() (context.Context, trace.Span) {
	return r.traces.Tracer("test").Start(context.Background(), "parent")
}

// span is the one span of that name that has ended.
func (r recorder) span(name string) sdktrace.ReadOnlySpan {
	r.t.Helper()
	var found []sdktrace.ReadOnlySpan
	for _, s := range r.spans.Ended() {
		if s.Name() == name {
			found = append(found, s)
		}
	}
	require.Len(r.t, found, 1, "spans named %q", name)
	return found[0]
}

func (r recorder) names() []string {
	var names []string
	for _, s := range r.spans.Ended() {
		names = append(names, s.Name())
	}
	return names
}

// metric is the data of the metric of that name, nil if there is none.
func (r recorder) metric(name string) metricdata.Aggregation {
	r.t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(r.t, r.reader.Collect(context.Background(), &all))
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name == name {
				return m.Data
			}
		}
	}
	return nil
}

// sums maps the attributes of a counter to its values.
func (r recorder) sums(name string) map[attribute.Distinct]int64 {
	r.t.Helper()
	sums := make(map[attribute.Distinct]int64)
	if data, ok := r.metric(name).(metricdata.Sum[int64]); ok {
		for _, p := range data.DataPoints {
			sums[p.Attributes.Equivalent()] = p.Value
		}
	}
	return sums
}

// histogram is the only data point of a histogram.
func (r recorder) histogram(name string) metricdata.HistogramDataPoint[float64] {
	r.t.Helper()
	data, ok := r.metric(name).(metricdata.Histogram[float64])
	require.True(r.t, ok, "no histogram %s", name)
	require.Len(r.t, data.DataPoints, 1)
	return data.DataPoints[0]
}

func set(attrs ...attribute.KeyValue) attribute.Distinct {
	s := attribute.NewSet(attrs...)
	return s.Equivalent()
}

// attrs are those of a span as plain values.
func attrs(s sdktrace.ReadOnlySpan) map[string]any {
	return plain(s.Attributes())
}

func plain(kvs []attribute.KeyValue) map[string]any {
	m := make(map[string]any, len(kvs))
	for _, kv := range kvs {
		m[string(kv.Key)] = kv.Value.AsInterface()
	}
	return m
}

func get(t testing.TB, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	return req
}

func response(status int) *http.Response {
	return &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1}
}

func attributesOf(p metricdata.HistogramDataPoint[float64]) []attribute.KeyValue {
	return p.Attributes.ToSlice()
}

func attributeKey(k string) attribute.Key { return attribute.Key(k) }
