package policy

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// BudgetConfig configures a [Budget]. The zero value grants retries for a tenth
// of the calls, one a second besides, and ten at once.
type BudgetConfig struct {
	// Share is how many retries each call adds, at most 1; negative: none.
	// Default: 0.1.
	Share float64 `json:"share,omitempty" yaml:"share,omitempty"`
	// PerSecond is how many retries time adds, for those who call seldom;
	// negative: none. Default: 1.
	PerSecond float64 `json:"per_second,omitempty" yaml:"per_second,omitempty"`
	// Burst is how many retries the budget starts with and can always save up.
	// Default: 10.
	Burst int `json:"burst,omitempty" yaml:"burst,omitempty"`
}

// Validate reports every invalid field.
func (c BudgetConfig) Validate() error {
	var f Faults
	f.share("share", max(0, c.Share)) // max keeps a NaN
	f.finite("per_second", c.PerSecond)
	f.notNegative("burst", c.Burst)
	return f.Err()
}

// budgetWindow is how far back calls count towards what a budget holds.
const budgetWindow = 10 * time.Second

// Budget keeps retries from multiplying the load on a peer in trouble: a token
// bucket that calls and time fill and retries empty (Google's "Site Reliability
// Engineering", ch. 21 "Handling Overload"; Finagle's RetryBudget). It is safe
// for concurrent use. A nil *Budget is no bound: it grants every retry.
//
// From its making on, tries ≤ calls × (1 + Share) + PerSecond × time + Burst,
// where a refunded try does not count. The bucket starts with Burst tokens and
// holds Burst or what Share earned in about the last 10 seconds, whichever is
// more. How many calls those saw is measured when a token is asked for: calls
// since the one before count as evenly spread.
type Budget struct {
	share, perSecond, burst float64

	calls atomic.Int64

	mu      sync.Mutex
	tokens  float64
	recent  float64 // calls in the last budgetWindow, exponentially smoothed
	settled int64   // see sinceBase
	counted int64   // calls until then
}

// NewBudget returns a full budget. It panics on what cfg.Validate reports.
func NewBudget(cfg BudgetConfig) *Budget {
	must("BudgetConfig", cfg.Validate())
	burst := float64(or(cfg.Burst, 10))
	return &Budget{
		share:     max(0, or(cfg.Share, 0.1)),
		perSecond: max(0, or(cfg.PerSecond, 1)),
		burst:     burst,
		tokens:    burst,
		settled:   sinceBase(),
	}
}

// Call counts a call, not its retries. It costs one atomic addition.
func (b *Budget) Call() {
	if b != nil {
		b.calls.Add(1)
	}
}

// Take takes the token of one retry and reports whether there was one. It never
// waits.
func (b *Budget) Take() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle()
	const whole = 1 - 1e-9 // ten tenths add up to a little less than one
	if b.tokens < whole {
		return false
	}
	b.tokens = max(0, b.tokens-1)
	return true
}

// Refund gives the token of one retry back: it succeeded, or was never sent.
func (b *Budget) Refund() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.tokens+1, b.capacity())
}

// Tokens returns how many retries would be granted at once, +Inf without a
// bound.
func (b *Budget) Tokens() float64 {
	if b == nil {
		return math.Inf(1)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle()
	return b.tokens
}

// Idle reports whether a new budget would serve as well: this one is full, and
// its recent calls earned no more than Burst.
func (b *Budget) Idle() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle()
	return b.tokens >= b.burst && b.capacity() <= b.burst
}

// settle adds what calls and time have earned since it last ran, under mu.
func (b *Budget) settle() {
	now, calls := sinceBase(), b.calls.Load()
	// Never backwards: a budget may be made outside a synctest bubble.
	elapsed := time.Duration(max(0, now-b.settled))
	fresh := float64(calls - b.counted)
	b.settled, b.counted = now, calls

	b.recent = decayed(b.recent, fresh, elapsed.Seconds()/budgetWindow.Seconds())
	earned := fresh*b.share + elapsed.Seconds()*b.perSecond
	b.tokens = min(b.tokens+earned, b.capacity())
}

func (b *Budget) capacity() float64 { return max(b.burst, b.share*b.recent) }

// decayed is a count of about one window, after age windows over which fresh
// more came in evenly.
func decayed(count, fresh, age float64) float64 {
	kept := 1.0
	if age > 0 {
		kept = -math.Expm1(-age) / age // of fresh; nears 1 as age nears 0
	}
	return count*math.Exp(-age) + fresh*kept
}

// Status returns how the budget stands, in the words common to all policies; its
// key is whatever it is the budget of. A nil *Budget has no limit.
func (b *Budget) Status() Status {
	if b == nil {
		return Status{Policy: PolicyRetry}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle()
	return Status{Policy: PolicyRetry, Tokens: b.tokens, Limit: int(b.capacity())}
}
