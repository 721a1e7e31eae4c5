package store

import (
	"context"

	"github.com/aws/smithy-go/middleware"

	"github.com/magnetar-go/magnetar/policy"
)

// repeatable are calls with POST that do no harm when they are made twice.
var repeatable = map[string]bool{
	"DeleteObjects":         true, // what is gone stays gone
	"CreateMultipartUpload": true, // one too many costs nothing but its entry in the list of uploads
	// It is done once: the second may be told NoSuchUpload, which is no worse
	// than the error of the first. HeadObject tells whether it was.
	"CompleteMultipartUpload": true,
}

// allowRetries marks the calls that are repeatable.
func allowRetries(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("magnetar:AllowRetries", allowRetry), middleware.Before)
}

func allowRetry(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
	middleware.InitializeOutput, middleware.Metadata, error,
) {
	if repeatable[middleware.GetOperationName(ctx)] {
		ctx = policy.AllowRetry(ctx)
	}
	return next.HandleInitialize(ctx, in)
}
