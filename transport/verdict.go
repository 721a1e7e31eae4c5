package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// Verdict is what a try's response headers, or its error, mean.
type Verdict struct {
	// Outcome is what the try tells about the health of the key.
	Outcome policy.Outcome
	// Retry is why the try is worth repeating; empty when it is not. Whether it
	// is repeated depends on the method, the body, the budget and the time.
	Retry policy.Reason
}

// judge is the verdict on a try that has just ended.
func (a *attempt) judge(resp *http.Response, err error) Verdict {
	if v, ended := a.ended(err); ended {
		return v
	}
	v := a.verdict(resp, err)
	if f := a.call.t.classify; f != nil {
		return f(resp, err, v)
	}
	return v
}

// ended is the verdict on a try that was cut by the caller or by its time. A
// cancel says nothing about the peer, nor does a deadline that left it no time.
func (a *attempt) ended(err error) (Verdict, bool) {
	if err == nil {
		return Verdict{}, false
	}
	took := time.Duration(now() - a.began)
	switch ctxErr := a.call.ctx.Err(); {
	case ctxErr == nil:
	case ctxErr == context.DeadlineExceeded && took > a.call.state.telling():
		return Verdict{Outcome: policy.Failure}, true
	default:
		return Verdict{Outcome: policy.Ignored}, true
	}
	own, ok := errors.AsType[*policy.Error](err)
	if !ok {
		return Verdict{}, false
	}
	switch own.Reason {
	case policy.ReasonAttemptTimeout:
		return Verdict{policy.Failure, policy.ReasonAttemptTimeout}, true
	case policy.ReasonTotalTimeout:
		if took > a.call.state.telling() {
			return Verdict{Outcome: policy.Failure}, true
		}
		return Verdict{Outcome: policy.Ignored}, true
	}
	return Verdict{Outcome: policy.Ignored}, policy.Refused(err) // by a transport further in
}

func (a *attempt) verdict(resp *http.Response, err error) Verdict {
	switch {
	case policy.IsPermanent(err):
		return Verdict{Outcome: policy.Ignored}
	case err != nil:
		return Verdict{policy.Failure, a.retryableError(err)}
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return Verdict{policy.Ignored, policy.ReasonStatus}
	case http.StatusServiceUnavailable:
		if _, ok := retryAfter(resp.Header); ok {
			return Verdict{policy.Ignored, policy.ReasonStatus}
		}
		return Verdict{policy.Failure, policy.ReasonStatus}
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return Verdict{policy.Failure, policy.ReasonStatus}
	case http.StatusTooEarly:
		return Verdict{policy.Success, policy.ReasonStatus}
	case http.StatusInternalServerError:
		if safe(a.call.req.Method) {
			return Verdict{policy.Failure, policy.ReasonStatus}
		}
		return Verdict{Outcome: policy.Failure}
	}
	return Verdict{Outcome: policy.Success}
}

// retryableError tells why an error is worth another try. Errors are matched by
// type; one without a type of its own is taken for a connection's, unless the
// peer had begun to answer: then it is the answer that is wrong, and it would
// be again.
func (a *attempt) retryableError(err error) policy.Reason {
	switch {
	case wrongCertificate(err), a.badScheme():
		return ""
	case policy.IsTransient(err):
		return policy.ReasonError
	case dialError(err):
		return policy.ReasonDialError
	case a.unsent():
		return policy.ReasonUnsent
	case a.answered() && !connectionError(err):
		return ""
	}
	return policy.ReasonError
}

func (a *attempt) badScheme() bool {
	s := a.call.req.URL.Scheme
	return s != "http" && s != "https"
}

func dialError(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

func connectionError(err error) bool {
	_, ok := errors.AsType[net.Error](err)
	return ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// wrongCertificate reports whether the peers cannot agree on TLS: they would
// not the next time either.
func wrongCertificate(err error) bool {
	if errors.Is(err, http.ErrSchemeMismatch) {
		return true
	}
	return as[*tls.CertificateVerificationError](err) || as[x509.UnknownAuthorityError](err) ||
		as[x509.HostnameError](err) || as[x509.CertificateInvalidError](err) || as[x509.SystemRootsError](err) ||
		as[tls.RecordHeaderError](err) || as[tls.AlertError](err) || alerted(err)
}

// alerted reports whether the peer ended the TLS connection with an alert, whose
// type crypto/tls keeps to itself.
func alerted(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// safe methods (RFC 9110, section 9.2.1) may be repeated even on a 500.
func safe(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return false
}

// idempotent reports whether sending req twice is as good as once (RFC 9110,
// section 9.2.2, and the Idempotency-Key draft of the IETF's httpapi group).
func idempotent(req *http.Request) bool {
	switch req.Method {
	case http.MethodPut, http.MethodDelete, http.MethodTrace:
		return true
	}
	return safe(req.Method) || len(req.Header["Idempotency-Key"]) > 0 || policy.RetryAllowed(req.Context())
}
