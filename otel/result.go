package otel

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/policy"
)

// result is how a request ended, as far as its headers tell. It is of low
// cardinality and can be compared.
type result struct {
	status   int    // zero without a response
	version  string // of the protocol; empty where unknown
	failure  string // type of the error; empty where there is none
	canceled bool   // by the caller: no failure
}

func resultOf(ctx context.Context, resp *http.Response, err error) result {
	r := failureOf(ctx, err)
	if resp != nil {
		r.status = resp.StatusCode
		r.version = protocolVersion(resp)
	}
	return r
}

func failureOf(ctx context.Context, err error) result {
	switch {
	case err == nil:
		return result{}
	case canceled(ctx, err):
		return result{canceled: true}
	}
	return result{failure: semconv.ErrorType(err).Value.AsString()}
}

// canceled reports whether err is the caller's going away. What the kit itself
// says comes first: it cuts a try by canceling it, and that is a timeout.
func canceled(ctx context.Context, err error) bool {
	if e, ok := errors.AsType[*policy.Error](err); ok {
		return e.Reason == policy.ReasonCanceled
	}
	if errors.Is(err, context.Canceled) {
		return true
	}
	return errors.Is(ctx.Err(), context.Canceled) && errors.Is(err, context.Cause(ctx))
}

// errorType is the value of error.type, empty where there is no error. For a
// client, a status of 400 and above is one.
func (r result) errorType() string {
	if r.failure == "" && r.status >= http.StatusBadRequest {
		return strconv.Itoa(r.status)
	}
	return r.failure
}

// attributes are those that the semantic conventions have in common for spans
// and metrics, with room for one that only spans have.
func (r result) attributes() []attribute.KeyValue {
	attrs := make([]attribute.KeyValue, 0, 4)
	if r.status != 0 {
		attrs = append(attrs, semconv.HTTPResponseStatusCode(r.status))
	}
	if r.version != "" {
		attrs = append(attrs, semconv.NetworkProtocolVersion(r.version))
	}
	if t := r.errorType(); t != "" {
		attrs = append(attrs, semconv.ErrorTypeKey.String(t))
	}
	return attrs
}

// shown are the attributes on spans.
func (r result) shown() []attribute.KeyValue {
	attrs := r.attributes()
	if r.canceled {
		attrs = append(attrs, keyCanceled.Bool(true))
	}
	return attrs
}

// describe puts r on a span, with the attributes that show it. The text of err
// is the status's description; a status code needs none.
func (r result) describe(span trace.Span, err error, shown []attribute.KeyValue) {
	span.SetAttributes(shown...)
	switch {
	case r.failure != "":
		span.SetStatus(codes.Error, err.Error())
	case r.errorType() != "":
		span.SetStatus(codes.Error, "")
	}
}

func protocolVersion(resp *http.Response) string {
	switch [2]int{resp.ProtoMajor, resp.ProtoMinor} {
	case [2]int{1, 0}:
		return "1.0"
	case [2]int{1, 1}:
		return "1.1"
	case [2]int{2, 0}:
		return "2"
	case [2]int{3, 0}:
		return "3"
	}
	return ""
}
