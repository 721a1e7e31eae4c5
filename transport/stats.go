package transport

import (
	"iter"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// KeyState is what the transport knows of one key. Parts that the chain does
// not have are nil or zero.
type KeyState struct {
	Key          string
	Breaker      *policy.CircuitBreakerStats
	RateLimit    *policy.RateLimiterStats
	Concurrency  *policy.ConcurrencyStats
	BudgetTokens float64       // retries that the budget allows now
	HeldFor      time.Duration // until the throttle lets calls go
	UsualTime    time.Duration // to the response headers, smoothed
}

// States yields the state of every key in use, in no order.
func (t *Transport) States() iter.Seq[KeyState] {
	return func(yield func(KeyState) bool) {
		t.keys.own.Range(func(_ key, s *state) bool { return yield(s.snapshot()) })
	}
}

// statuses yields how every part of every key stands, and what keys beyond the
// bound share.
func (t *Transport) statuses() iter.Seq[policy.Status] {
	return func(yield func(policy.Status) bool) {
		more := true
		t.keys.own.Range(func(_ key, s *state) bool {
			more = s.show(yield)
			return more
		})
		for i := 0; i < len(t.keys.spare) && more; i++ {
			if s := t.keys.spare[i].Load(); s != nil {
				more = s.show(yield)
			}
		}
	}
}

func (s *state) show(yield func(policy.Status) bool) bool {
	return (s.breaker == nil || yield(s.breaker.Status())) &&
		(s.limiter == nil || yield(s.limiter.Status())) &&
		(s.inFlight == nil || yield(s.inFlight.Status())) &&
		(s.budget == nil || yield(s.budgetStatus())) &&
		(s.throttle == nil || yield(policy.Status{Policy: policy.PolicyThrottle, Key: s.name, RetryAfter: s.throttle.heldFor()}))
}

func (s *state) budgetStatus() policy.Status {
	status := s.budget.Status()
	status.Key = s.name
	return status
}

// Breaker returns the live circuit breaker of a key, such as
// "https://api.example.com:443", to force it open or closed; false when the key
// is not in use or the chain has none.
func (t *Transport) Breaker(name string) (*policy.CircuitBreaker, bool) {
	var found *policy.CircuitBreaker
	t.keys.own.Range(func(_ key, s *state) bool {
		if s.name == name {
			found = s.breaker
		}
		return found == nil
	})
	return found, found != nil
}

func (s *state) snapshot() KeyState {
	k := KeyState{Key: s.name, UsualTime: time.Duration(s.usual.Load())}
	if s.breaker != nil {
		st := s.breaker.Stats()
		k.Breaker = &st
	}
	if s.limiter != nil {
		st := s.limiter.Stats()
		k.RateLimit = &st
	}
	if s.inFlight != nil {
		st := s.inFlight.Stats()
		k.Concurrency = &st
	}
	if s.budget != nil {
		k.BudgetTokens = s.budget.Tokens()
	}
	if s.throttle != nil {
		k.HeldFor = s.throttle.heldFor()
	}
	return k
}
