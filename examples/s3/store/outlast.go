package store

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/magnetar-go/magnetar/policy"
)

// patience repeats calls until their context ends, no more often than the
// breaker lets them through.
var patience = policy.NewRetry(
	policy.RetryConfig{MaxRetries: 1000, InitialBackoff: 200 * time.Millisecond, MaxBackoff: 2 * time.Second},
	policy.RetryIf(Away))

// Outlast makes a call that had rather be late than lost: while the store is
// [Away] it is made again, until ctx ends. The chain gives up within seconds, as
// whoever has a user waiting must; a job has time, and asks again. That costs the
// server next to nothing: while the breaker is open the calls do not leave the
// process. op must be repeatable.
func Outlast(ctx context.Context, op func(context.Context) error) error { return patience.Do(ctx, op) }

// Away reports whether err says that the store cannot be reached or has no time:
// the same call may succeed later.
func Away(err error) bool {
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case untrusted, policy.IsPermanent(err), errors.Is(err, policy.ErrClosed),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	}
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && answer.HTTPStatusCode() != 0 {
		return statusPasses(answer.HTTPStatusCode())
	}
	_, unsent := errors.AsType[*smithyhttp.RequestSendError](err)
	_, cut := errors.AsType[net.Error](err)
	_, died := errors.AsType[*diedError](err)
	return unsent || cut || died || errors.Is(err, io.ErrUnexpectedEOF) || policy.Refused(err)
}

// statusPasses reports whether an answer may be another one later. What is not
// implemented stays so.
func statusPasses(status int) bool {
	switch status {
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return status >= http.StatusInternalServerError || status == http.StatusTooManyRequests
}
