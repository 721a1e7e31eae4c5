package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
	"github.com/magnetar-go/magnetar/transport"
)

var theStories = []story{
	{"a retry that succeeds", retryPlot, retry},
	{"a breaker that trips and recovers", breakerPlot, breaker},
	{"a rate limit", ratePlot, rateLimit},
	{"a shed request", shedPlot, shedding},
	{"a pool rotation", rotationPlot, rotation},
	{"an endpoint ejection", ejectionPlot, ejection},
}

// A retry: stock stumbles once.

var retryPlot = plot{
	toStock: withRetry(300 * time.Millisecond),
	answer: func(_ context.Context, t *town, _ visit) int {
		if t.asked.Load() == 1 {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	},
}

// withRetry is the default chain with a wait long enough to be seen.
func withRetry(backoff time.Duration) transport.Config {
	cfg := transport.Default()
	cfg.Retry.InitialBackoff = backoff
	return cfg
}

func retry(ctx context.Context, t *town) (string, error) {
	if _, err := t.checkout(ctx, 1, http.StatusOK); err != nil {
		return "", err
	}
	waited := t.journal.longest(policy.PolicyRetry, policy.ActionWait)
	return "stock answered 503, was asked again after " + demo.Milliseconds(waited) + ", and answered 200", nil
}

// A breaker: stock fails until it is well again.

const threshold = 3

var breakerPlot = plot{
	toStock: transport.Config{Timeouts: &transport.Timeouts{}, Breaker: &policy.CircuitBreakerConfig{
		FailureThreshold: threshold, SuccessThreshold: 1, Cooldown: 2 * time.Second,
	}},
	answer: func(_ context.Context, t *town, _ visit) int {
		if t.well.Load() {
			return http.StatusOK
		}
		return http.StatusInternalServerError
	},
}

func breaker(ctx context.Context, t *town) (string, error) {
	for range threshold {
		if _, err := t.checkout(ctx, 1, http.StatusBadGateway); err != nil {
			return "", err
		}
	}
	refused, err := t.checkout(ctx, 1, http.StatusServiceUnavailable)
	if err != nil {
		return "", err
	}
	t.well.Store(true)
	seconds, err := strconv.Atoi(refused.retryAfter)
	if err != nil {
		return "", fmt.Errorf("the refusal's Retry-After: %w", err)
	}
	if !demo.Sleep(ctx, time.Duration(seconds)*time.Second) {
		return "", context.Cause(ctx)
	}
	if _, err := t.checkout(ctx, 1, http.StatusOK); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d failures of stock opened it, a call was refused, and %d s later a trial closed it", threshold, seconds), nil
}

// A rate limit: an order of more items than stock may be asked for at once.

const (
	items  = 4
	spaced = 250 * time.Millisecond
)

var ratePlot = plot{
	toStock: transport.Config{Timeouts: &transport.Timeouts{}, RateLimit: &policy.RateLimiterConfig{
		Limit: 1, Per: spaced, Pacing: policy.PacingSmooth,
	}},
}

func rateLimit(ctx context.Context, t *town) (string, error) {
	if _, err := t.checkout(ctx, items, http.StatusOK); err != nil {
		return "", err
	}
	waited := t.journal.longest(policy.PolicyRateLimit, policy.ActionWait)
	return fmt.Sprintf("%d calls of stock at the same time, of one every %v: the last waited for %s", items, spaced, demo.Milliseconds(waited)), nil
}

// A shed request: orders has room for one, and stock takes long.

var shedPlot = plot{
	orders: policy.ConcurrencyConfig{Limit: 1},
	answer: func(ctx context.Context, t *town, _ visit) int {
		close(t.busy)
		select {
		case <-t.over:
		case <-ctx.Done():
		}
		return http.StatusOK
	},
}

func shedding(ctx context.Context, t *town) (string, error) {
	first := make(chan error, 1)
	go func() {
		_, err := t.checkout(ctx, 1, http.StatusOK)
		first <- err
	}()
	select {
	case <-t.busy:
	case err := <-first:
		return "", err
	}
	second, err := t.checkout(ctx, 1, http.StatusServiceUnavailable)
	close(t.over)
	if err := errors.Join(err, <-first); err != nil {
		return "", err
	}
	return "while orders was busy with all it has room for, a second order was turned away, Retry-After: " + second.retryAfter + " s", nil
}

// A rotation: stock moves to another address.

var rotationPlot = plot{
	stocks: 2, named: 1,
	pool: pool.TransportConfig{Refresh: time.Millisecond},
}

func rotation(ctx context.Context, t *town) (string, error) {
	if _, err := t.checkout(ctx, 1, http.StatusOK); err != nil {
		return "", err
	}
	t.names.set(stock, t.stocks[1])
	calls := 0
	for t.journal.visitors(1) == 0 {
		if _, err := t.checkout(ctx, 1, http.StatusOK); err != nil {
			return "", err
		}
		calls++
	}
	if err := t.journal.await(ctx, policy.PolicyPool, policy.ActionRotate); err != nil {
		return "", err
	}
	return fmt.Sprintf("stock moved from %s to %s; call %d since then went there, and the old connections were left", t.stocks[0], t.stocks[1], calls), nil
}

// An ejection: one of two instances of stock fails.

var ejectionPlot = plot{
	stocks:  2,
	toStock: withRetry(50 * time.Millisecond),
	pool:    pool.TransportConfig{Outlier: &pool.OutlierConfig{Consecutive: 2}},
	answer: func(_ context.Context, _ *town, of visit) int {
		if of.instance == 0 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	},
}

func ejection(ctx context.Context, t *town) (string, error) {
	for len(t.journal.all(policy.PolicyPool, policy.ActionEject)) == 0 {
		if _, err := t.checkout(ctx, 1, http.StatusOK); err != nil {
			return "", err
		}
	}
	before := t.journal.visitors(0)
	if _, err := t.checkout(ctx, 1, http.StatusOK); err != nil {
		return "", err
	}
	if n := t.journal.visitors(0) - before; n > 0 {
		return "", fmt.Errorf("%s was asked after it was ejected", t.stocks[0])
	}
	if err := t.journal.await(ctx, policy.PolicyPool, policy.ActionRotate); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s failed %d times and gets no more calls; each was made again elsewhere, so nobody noticed", t.stocks[0], before), nil
}
