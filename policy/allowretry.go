package policy

import "context"

type allowRetryKey struct{}

// AllowRetry marks the calls made with the returned context as safe to repeat,
// whatever their method: the peer recognises a repetition, or does not mind it.
func AllowRetry(ctx context.Context) context.Context {
	return context.WithValue(ctx, allowRetryKey{}, true)
}

// RetryAllowed reports whether ctx comes from [AllowRetry].
func RetryAllowed(ctx context.Context) bool {
	return ctx.Value(allowRetryKey{}) != nil
}
