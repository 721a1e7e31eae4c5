package pool

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool/internal/generation"
)

// verdict is what the response headers, or the error, of an exchange say about
// the endpoint.
func (e *endpoint) verdict(x *generation.Exchange, resp *http.Response, err error, took time.Duration) policy.Outcome {
	if err == nil {
		return statusVerdict(resp)
	}
	if ended := endOfCall(x.Request); ended != nil {
		return e.endedVerdict(x.Request.Context(), ended, took)
	}
	if policy.Refused(err) || policy.IsPermanent(err) || x.Cut() || !connectionError(err) && mayBeCallers(x) {
		return policy.Ignored
	}
	return policy.Failure
}

func statusVerdict(resp *http.Response) policy.Outcome {
	switch resp.StatusCode {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return policy.Failure
	case http.StatusServiceUnavailable:
		if len(resp.Header["Retry-After"]) == 0 {
			return policy.Failure
		}
		return policy.Ignored
	case http.StatusTooManyRequests:
		return policy.Ignored
	}
	return policy.Success
}

// endOfCall is why the caller ended the request; nil when it did not. An
// [http.Client] with a Timeout closes Cancel at the same time as its context
// ends, or a little before.
func endOfCall(req *http.Request) error {
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-req.Cancel: //nolint:staticcheck // http.Client still uses it
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= 0 {
			return context.DeadlineExceeded
		}
		return context.Canceled
	default:
		return nil
	}
}

// endedVerdict is that on an exchange whose context ended before the headers. A
// caller's cancel says nothing, whatever error net/http made of it, nor does a
// deadline that left no time.
func (e *endpoint) endedVerdict(ctx context.Context, ended error, took time.Duration) policy.Outcome {
	own, kits := errors.AsType[*policy.Error](context.Cause(ctx))
	switch {
	case kits && own.Reason == policy.ReasonAttemptTimeout:
		return policy.Failure
	case kits && !errors.Is(own, policy.ErrTimeout),
		!kits && ended != context.DeadlineExceeded,
		took <= e.latency.telling():
		return policy.Ignored
	}
	return policy.Failure
}

// bodyVerdict is that on a response that died on the way.
func bodyVerdict(x *generation.Exchange, err error) policy.Outcome {
	if x.Cut() || policy.IsPermanent(err) {
		return policy.Ignored
	}
	if endOfCall(x.Request) == nil {
		return policy.Failure
	}
	if own, ok := errors.AsType[*policy.Error](context.Cause(x.Request.Context())); ok && own.Reason == policy.ReasonBodyStalled {
		return policy.Failure
	}
	return policy.Ignored
}

func dialError(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// connectionError reports whether err is certainly none that the caller made.
func connectionError(err error) bool {
	return as[net.Error](err) || as[syscall.Errno](err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		as[*tls.CertificateVerificationError](err) || as[tls.AlertError](err) || as[tls.RecordHeaderError](err)
}

// mayBeCallers reports whether the caller may have made an error that is not the
// connection's: by a request that net/http does not send, or a body that cannot
// be read, whose error net/http passes on as it is.
func mayBeCallers(x *generation.Exchange) bool {
	return !x.Connected || x.Request.Body != nil && x.Request.Body != http.NoBody
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
