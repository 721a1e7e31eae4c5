package otel_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

func TestRetriedCallIsATreeAndNoError(t *testing.T) {
	r := record(t)
	req := get(t, "https://api.example.com/users/42?q=x")
	ctx, call := r.StartCall(context.Background(), req)
	require.True(t, call.Recording())
	for resend, status := range []int{503, 200} {
		tryCtx, try := r.StartAttempt(ctx, req, resend)
		r.Observe(tryCtx, policy.Decision{Policy: policy.PolicyBreaker, Action: policy.ActionAdmit})
		try.Headers(response(status), nil)
		try.End(nil)
		try.End(errors.New("late"))
	}
	call.End(response(200), nil, 2)
	call.End(nil, errors.New("late"), 3)

	require.Equal(t, []string{"magnetar.breaker.admit", "GET", "magnetar.breaker.admit", "GET", "call GET"}, r.names())
	ended := r.spans.Ended()
	root := ended[4]
	require.False(t, root.Parent().IsValid())
	require.Equal(t, trace.SpanKindInternal, root.SpanKind())
	require.Equal(t, sdktrace.Status{Code: codes.Unset}, root.Status(), "a retried try does not fail its call")
	require.Equal(t, map[string]any{
		"http.request.method": "GET", "server.address": "api.example.com", "server.port": int64(443),
		"http.response.status_code": int64(200), "magnetar.call.attempts": int64(2),
	}, attrs(root))

	common := map[string]any{
		"http.request.method": "GET", "server.address": "api.example.com", "server.port": int64(443),
		"url.full": "https://api.example.com/users/42?q=x", "network.protocol.version": "1.1",
	}
	with := func(more map[string]any) map[string]any {
		maps.Copy(more, common)
		return more
	}
	failed, answered := ended[1], ended[3]
	require.Equal(t, with(map[string]any{"http.response.status_code": int64(503), "error.type": "503"}), attrs(failed))
	require.Equal(t, sdktrace.Status{Code: codes.Error}, failed.Status())
	require.Equal(t, with(map[string]any{"http.response.status_code": int64(200), "http.request.resend_count": int64(1)}), attrs(answered))
	require.Equal(t, sdktrace.Status{Code: codes.Unset}, answered.Status())
	for _, try := range []sdktrace.ReadOnlySpan{failed, answered} {
		require.Equal(t, trace.SpanKindClient, try.SpanKind())
		require.Equal(t, root.SpanContext().SpanID(), try.Parent().SpanID())
	}
	require.Equal(t, failed.SpanContext().SpanID(), ended[0].Parent().SpanID())
}

func TestStatusOfACallIsWhatItsCallerSees(t *testing.T) {
	cause := errors.New("user left")
	left, leave := context.WithCancelCause(context.Background())
	leave(cause)
	timeout := &policy.Error{Reason: policy.ReasonAttemptTimeout, Policy: policy.PolicyTimeout, Err: context.Canceled}
	for name, tt := range map[string]struct {
		ctx       context.Context
		resp      *http.Response
		err       error
		code      codes.Code
		errorType any
		canceled  any
	}{
		"answered":          {resp: response(302), code: codes.Unset},
		"client error":      {resp: response(404), code: codes.Error, errorType: "404"},
		"server error":      {resp: response(500), code: codes.Error, errorType: "500"},
		"refused":           {err: &policy.Error{Reason: policy.ReasonCircuitOpen}, code: codes.Error, errorType: "circuit_open"},
		"timed out":         {ctx: left, err: timeout, code: codes.Error, errorType: "attempt_timeout"},
		"deadline":          {err: context.DeadlineExceeded, code: codes.Error, errorType: "context.deadlineExceededError"},
		"other error":       {ctx: left, err: errors.New("reset"), code: codes.Error, errorType: "*errors.errorString"},
		"canceled":          {err: context.Canceled, code: codes.Unset, canceled: true},
		"canceled by cause": {ctx: left, err: cause, code: codes.Unset, canceled: true},
		"canceled in retry": {err: &policy.Error{Reason: policy.ReasonCanceled}, code: codes.Unset, canceled: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := record(t)
			if tt.ctx == nil {
				tt.ctx = context.Background()
			}
			_, call := r.StartCall(tt.ctx, get(t, "http://example.com"))
			call.End(tt.resp, tt.err, 0)
			_, try := r.StartAttempt(tt.ctx, get(t, "http://example.com"), 0)
			try.Headers(tt.resp, tt.err)
			try.End(tt.err)
			for _, s := range []sdktrace.ReadOnlySpan{r.span("call GET"), r.span("GET")} {
				require.Equal(t, tt.code, s.Status().Code)
				require.Equal(t, tt.errorType, attrs(s)["error.type"])
				require.Equal(t, tt.canceled, attrs(s)["magnetar.canceled"])
				if tt.err != nil && tt.code == codes.Error {
					require.Equal(t, tt.err.Error(), s.Status().Description)
				}
			}
			require.Equal(t, int64(0), attrs(r.span("call GET"))["magnetar.call.attempts"])
		})
	}
}

func TestBodyThatDiesFailsItsTry(t *testing.T) {
	r := record(t)
	_, try := r.StartAttempt(context.Background(), get(t, "http://example.com"), 0)
	try.Headers(response(200), nil)
	try.End(&policy.Error{Reason: policy.ReasonBodyStalled, Policy: policy.PolicyTimeout})

	s := r.span("GET")
	require.Equal(t, codes.Error, s.Status().Code)
	require.Equal(t, "body_stalled", attrs(s)["error.type"])
	require.Equal(t, int64(200), attrs(s)["http.response.status_code"])
}

func TestTryIsNamedByItsTemplateNeverByItsPath(t *testing.T) {
	r := record(t)
	ctx := otel.ContextWithURLTemplate(context.Background(), "/users/{id}")
	callCtx, call := r.StartCall(ctx, get(t, "http://example.com:8080/users/42"))
	_, try := r.StartAttempt(callCtx, get(t, "http://example.com:8080/users/42"), 0)
	try.Headers(response(200), nil)
	try.End(nil)
	call.End(response(200), nil, 1)

	require.Equal(t, []string{"GET /users/{id}", "call GET"}, r.names())
	require.Equal(t, "/users/{id}", attrs(r.span("GET /users/{id}"))["url.template"])
	require.Equal(t, map[string]any{
		"http.request.method": "GET", "server.address": "example.com", "server.port": int64(8080),
		"http.response.status_code": int64(200), "network.protocol.version": "1.1", "url.template": "/users/{id}",
	}, plain(attributesOf(r.histogram("http.client.request.duration"))))
}

func TestUnknownMethodIsNamedHTTP(t *testing.T) {
	r := record(t)
	for method, want := range map[string]string{"": "GET", "QUERY": "QUERY", "BREW": "HTTP", "get": "HTTP"} {
		r.spans.Reset()
		req := get(t, "http://example.com")
		req.Method = method
		_, call := r.StartCall(context.Background(), req)
		_, try := r.StartAttempt(context.Background(), req, 0)
		try.End(nil)
		call.End(nil, nil, 1)

		got := attrs(r.span(want))
		require.NotEmpty(t, r.span("call "+want))
		if want == "HTTP" {
			require.Equal(t, "_OTHER", got["http.request.method"])
			require.Equal(t, method, got["http.request.method_original"])
		} else {
			require.Equal(t, want, got["http.request.method"])
			require.NotContains(t, got, "http.request.method_original")
		}
	}
}

func TestKnownMethodsAreThoseOfTheEnvironment(t *testing.T) {
	t.Setenv("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "GET, PROPFIND")
	r := record(t)
	for _, method := range []string{"PROPFIND", "POST"} {
		req := get(t, "http://example.com")
		req.Method = method
		_, try := r.StartAttempt(context.Background(), req, 0)
		try.End(nil)
	}
	require.Equal(t, []string{"PROPFIND", "HTTP"}, r.names())
}

func TestServerIsThatOfTheURL(t *testing.T) {
	for url, want := range map[string]struct {
		address string
		port    any
	}{
		"https://example.com":       {"example.com", int64(443)},
		"http://example.com":        {"example.com", int64(80)},
		"http://[::1]:9000/x":       {"::1", int64(9000)},
		"unix://run.sock/v1/health": {"run.sock", nil},
	} {
		r := record(t)
		_, try := r.StartAttempt(context.Background(), get(t, url), 0)
		try.End(nil)
		got := attrs(r.span("GET"))
		require.Equal(t, want.address, got["server.address"], url)
		require.Equal(t, want.port, got["server.port"], url)
	}
}

func TestURLIsToldWithoutItsSecrets(t *testing.T) {
	const base = "https://s3.example.com/b/k"
	for in, want := range map[string]string{
		"":                                     "",
		"?a=1&b=2":                             "?a=1&b=2",
		"?sig=abc":                             "?sig=REDACTED",
		"?a=1&X-Amz-Signature=s&b=%2F&c":       "?a=1&X-Amz-Signature=REDACTED&b=%2F&c",
		"?X-Amz-Credential=c&AWSAccessKeyId=i": "?X-Amz-Credential=REDACTED&AWSAccessKeyId=REDACTED",
		"?%73ig=abc&X-Amz-Security-Token=t#f":  "?%73ig=REDACTED&X-Amz-Security-Token=REDACTED#f",
		"?sig=&sig&signature=kept&SIG=kept":    "?sig=&sig&signature=kept&SIG=kept",
		"?%zz=1&&sig=a=b":                      "?%zz=1&&sig=REDACTED",
		"?X-Goog-Signature=a&Signature=b&sig=": "?X-Goog-Signature=REDACTED&Signature=REDACTED&sig=",
	} {
		r := record(t)
		_, try := r.StartAttempt(context.Background(), get(t, base+in), 0)
		try.End(nil)
		require.Equal(t, base+want, attrs(r.span("GET"))["url.full"])
	}
	r := record(t)
	req := get(t, "https://user:secret@example.com/x?q=1")
	_, try := r.StartAttempt(context.Background(), req, 0)
	try.End(nil)
	require.Equal(t, "https://REDACTED:REDACTED@example.com/x?q=1", attrs(r.span("GET"))["url.full"])
	require.Equal(t, "user:secret", req.URL.User.String(), "the request is untouched")
}

func TestRequestDurationEndsWithTheHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		resp := response(504)
		resp.ProtoMajor, resp.ProtoMinor = 2, 0
		_, try := r.StartAttempt(context.Background(), get(t, "http://example.com"), 0)
		time.Sleep(70 * time.Millisecond)
		try.Headers(resp, nil)
		time.Sleep(time.Second)
		try.End(nil)

		h := r.histogram("http.client.request.duration")
		require.Equal(t, []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}, h.Bounds)
		require.InDelta(t, 0.07, h.Sum, 1e-9)
		require.Equal(t, map[string]any{
			"http.request.method": "GET", "server.address": "example.com", "server.port": int64(80),
			"http.response.status_code": int64(504), "error.type": "504", "network.protocol.version": "2",
		}, plain(attributesOf(h)))
		require.Equal(t, 1070*time.Millisecond, r.span("GET").EndTime().Sub(r.span("GET").StartTime()))
	})
}

func TestRequestDurationTellsResultsApart(t *testing.T) {
	r := record(t)
	results := []struct {
		resp *http.Response
		err  error
	}{
		{response(200), nil}, {response(404), nil}, {nil, context.Canceled}, {nil, context.DeadlineExceeded},
		{&http.Response{StatusCode: 200, ProtoMajor: 1}, nil}, {&http.Response{StatusCode: 200, ProtoMajor: 3}, nil},
		{&http.Response{StatusCode: 200}, nil},
	}
	for range 2 {
		for _, res := range results {
			_, try := r.StartAttempt(context.Background(), get(t, "http://example.com"), 0)
			try.Headers(res.resp, res.err)
			try.End(nil)
		}
	}
	var got []string
	for _, p := range r.metric("http.client.request.duration").(metricdata.Histogram[float64]).DataPoints {
		require.Equal(t, uint64(2), p.Count)
		var parts []string
		for _, k := range []string{"http.response.status_code", "network.protocol.version", "error.type"} {
			if v, ok := p.Attributes.Value(attributeKey(k)); ok {
				parts = append(parts, v.String())
			}
		}
		got = append(got, strings.Join(parts, " "))
	}
	require.ElementsMatch(t, []string{
		"200 1.1", "404 1.1 404", "", "context.deadlineExceededError", "200 1.0", "200 3", "200",
	}, got)
}

func TestUnsampledTryStillCarriesItsContext(t *testing.T) {
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	o := otel.New(otel.WithTracerProvider(provider))
	req := get(t, "http://example.com")
	ctx, call := o.StartCall(context.Background(), req)
	require.False(t, call.Recording())
	tryCtx, try := o.StartAttempt(ctx, req, 0)
	try.Headers(response(200), nil)
	try.End(errors.New("x"))
	call.End(response(200), nil, 1)
	require.True(t, trace.SpanContextFromContext(tryCtx).IsValid())
	require.Equal(t, trace.SpanContextFromContext(ctx).TraceID(), trace.SpanContextFromContext(tryCtx).TraceID())
}

func TestSamplerSeesTheFirstAttributes(t *testing.T) {
	var seen []map[string]any
	sampler := samplerFunc(func(p sdktrace.SamplingParameters) {
		seen = append(seen, plain(p.Attributes))
	})
	o := otel.New(otel.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler))))
	ctx := otel.ContextWithURLTemplate(context.Background(), "/x")
	_, try := o.StartAttempt(ctx, get(t, "http://example.com/x"), 0)
	try.End(nil)
	require.Equal(t, []map[string]any{{
		"http.request.method": "GET", "server.address": "example.com", "server.port": int64(80), "url.template": "/x",
	}}, seen)
}

type samplerFunc func(sdktrace.SamplingParameters)

func (f samplerFunc) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	f(p)
	return sdktrace.SamplingResult{Decision: sdktrace.Drop}
}

func (samplerFunc) Description() string { return "test" }

func TestWithoutAttemptSpansLeavesTriesToTheBase(t *testing.T) {
	r := record(t, otel.WithoutAttemptSpans(), otel.WithPropagators(traceContext))
	req := get(t, "http://example.com")
	ctx, call := r.StartCall(context.Background(), req)
	tryCtx, try := r.StartAttempt(ctx, req, 1)
	require.Equal(t, ctx, tryCtx)
	r.Inject(tryCtx, req.Header)
	try.Headers(response(200), nil)
	try.End(nil)
	call.End(response(200), nil, 2)

	require.Equal(t, []string{"call GET"}, r.names())
	require.Nil(t, r.metric("http.client.request.duration"))
	require.False(t, r.Injects())
	require.Empty(t, req.Header)
}
