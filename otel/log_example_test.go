package otel_test

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

// A storm is a line and a summary. With an SDK, each names a trace to look at.
func ExampleNewLogObserver() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.TimeKey, "retry_after", "over": // differ each time
				return slog.Attr{}
			case "error": // long
				return slog.Attr{}
			}
			return a
		},
	}))
	log := otel.NewLogObserver(logger)
	partner := policy.NewRateLimiter(policy.RateLimiterConfig{Limit: 1, Per: time.Hour, MaxWait: -1},
		policy.WithKey("partner"), policy.WithObserver(log))
	for range 1000 {
		_ = partner.Do(context.Background(), func(context.Context) error { return nil })
	}
	log.Close() // summarizes what is outstanding; else a timer does every 10 s
	// Output:
	// level=WARN msg=magnetar.rate_limit.refuse reason=rate_limit key=partner limit=1
	// level=WARN msg=magnetar.rate_limit.refuse reason=rate_limit key=partner limit=1 suppressed=998
}
