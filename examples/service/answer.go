package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"

	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/examples/database/postgres"
	"github.com/magnetar-go/magnetar/policy"
)

func answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "no answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone
}

// refuse tells the client whether it is worth coming back, and the log what the
// client need not know. Once the request's time is up, Deadline has answered.
func (s *service) refuse(w http.ResponseWriter, r *http.Request, err error) {
	unknown := perhaps(err)
	switch {
	case r.Context().Err() != nil && !unknown:
	case errors.Is(err, errNoProduct), errors.Is(err, errNoOrder):
		http.Error(w, "no such thing", http.StatusNotFound)
	case errors.Is(err, errAnotherOrder):
		http.Error(w, "this Idempotency-Key is of another order", http.StatusUnprocessableEntity)
	case unknown && r.Header.Get("Idempotency-Key") == "":
		s.complain(r, err)
		// Not 5xx, which many clients repeat by themselves, be it a POST.
		http.Error(w, "it may have been ordered or not: look for the order in a while, before you order again", http.StatusConflict)
	case unknown, passing(err):
		if policy.IsPermanent(err) { // a wrong password, say
			s.complain(r, err)
		}
		w.Header().Set("Retry-After", "1")
		http.Error(w, "try again later", http.StatusServiceUnavailable)
	case slow(err):
		http.Error(w, "what is behind this service is too slow", http.StatusGatewayTimeout)
	default:
		s.complain(r, err)
		http.Error(w, "something behind this service is broken", http.StatusBadGateway)
	}
}

// complain tells the log what somebody should look at, and not of every request: they
// come in floods. What passes by itself, it has from the policies.
func (s *service) complain(r *http.Request, err error) {
	if !s.telemetry.complaints.Allow() {
		return
	}
	trace := oteltrace.SpanContextFromContext(r.Context()).TraceID().String()
	s.telemetry.logger.ErrorContext(r.Context(), "not answered", "path", r.URL.Path, "error", err, "trace_id", trace)
}

// passing reports whether nothing was asked of what is behind the service: it is
// left alone for now, or lets nobody in.
func passing(err error) bool {
	dial, ok := errors.AsType[*net.OpError](err)
	return policy.Refused(err) || errors.Is(err, policy.ErrPoolExhausted) || errors.Is(err, policy.ErrConnectionCreation) ||
		ok && dial.Op == "dial"
}

// slow reports whether there was no time left.
func slow(err error) bool {
	return errors.Is(err, policy.ErrTimeout) || errors.Is(err, context.DeadlineExceeded)
}

// perhaps reports whether what failed may have been done all the same.
func perhaps(err error) bool {
	_, unknown := errors.AsType[*postgres.CommitUnknownError](err)
	return unknown
}
