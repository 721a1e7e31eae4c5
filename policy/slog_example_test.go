package policy_test

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/magnetar-go/magnetar/policy"
)

func ExampleNewLogObserver() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "took" { // differ each time
				return slog.Attr{}
			}
			return a
		},
	}))
	retry := policy.NewRetry(policy.RetryConfig{MaxRetries: 1, InitialBackoff: 1},
		policy.WithObserver(policy.NewLogObserver(logger)), policy.WithKey("orders"))

	tries := 0
	_ = retry.Do(context.Background(), func(context.Context) error {
		if tries++; tries == 1 {
			return errors.New("connection reset")
		}
		return policy.Permanent(errors.New("no such order")) // for debugging only
	})
	// Output: level=INFO msg=magnetar.retry.wait reason=error key=orders attempt=1 error="connection reset"
}
