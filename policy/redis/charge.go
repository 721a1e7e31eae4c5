package redislimit

import (
	"fmt"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

const (
	// longest is the greatest backlog in microseconds: with the time of day added,
	// it is exact in the floats that Lua counts in.
	longest = 1 << 52
	// longestLine is for how long a Limiter lets anybody wait at most: a year.
	longestLine = int64(365 * 24 * time.Hour / time.Microsecond)
)

// charge is one limit of a key and what is asked of it, in microseconds: the
// terms of [policy.StoreLimit] times the interval.
type charge struct {
	name string
	unit int64 // in which one unit comes back
	full int64 // a whole bucket
	// most is up to what a backlog may grow by this charge: the bucket, and what its
	// caller may wait for. Others may wait for longer: line is what the most patient
	// caller here may, and ceiling what anybody anywhere may.
	most, line, ceiling int64
	cost                int64 // is added to the backlog
	need                int64 // must have room; the cost, unless that may leave a debt
	never               bool  // more is asked than will ever have room
	// owed is what was taken while Redis was away, and Redis has yet to learn of; in
	// an answer, what it had no room for.
	owed int64
}

// chargeOf is n units of l.
func chargeOf(l policy.StoreLimit, n int) (charge, error) {
	if l.Burst < 1 || l.Interval <= 0 {
		return charge{}, policy.Permanent(fmt.Errorf(
			"redislimit: limit %.64q: burst %d and interval %v must be positive", l.Name, l.Burst, l.Interval))
	}
	unit := min(int64((l.Interval-1)/time.Microsecond)+1, longest) // rounded up: never more than the limit
	burst := min(int64(l.Burst), longest/unit)
	c := charge{name: l.Name, unit: unit, full: burst * unit}
	c.most, c.line, c.ceiling = c.full, c.full, c.full
	units := int64(max(n, 0))
	c.never = units > burst
	c.cost = times(min(units, burst+1), unit)
	if c.never {
		c.cost = c.full + 1
	}
	c.need = c.cost
	return c, nil
}

func chargesOf(limits []policy.StoreLimit, n int) ([]charge, error) {
	charges := make([]charge, len(limits))
	for i, l := range limits {
		var err error
		if charges[i], err = chargeOf(l, n); err != nil {
			return nil, err
		}
	}
	return charges, nil
}

// weighing is the charge of so many units. Those over the burst come one by one, and
// all of them are there when the last one is.
func (c charge) weighing(n int) charge {
	c.cost = times(int64(n), c.unit)
	c.need = c.cost
	return c
}

// queueing lets charges wait, for so long at most.
func (c charge) queueing(most time.Duration) charge {
	c.ceiling = min(c.full+longestLine, longest)
	c.line = min(c.full+most.Microseconds(), c.ceiling)
	return c
}

// queues reports whether charges may wait.
func (c charge) queues() bool { return c.ceiling > c.full }

// waiting lets this charge wait for so long. The ceiling knows nothing of that: who is
// in a hurry must not cut the line short for the others.
func (c charge) waiting(most time.Duration) charge {
	c.most = min(c.full+most.Microseconds(), c.ceiling)
	return c
}

// share is the charge against one of so many equal parts of the limit. What would
// pass at once under the whole, and is more than a full part, leaves a debt.
func (c charge) share(parts int64) charge {
	burst, units, wait := c.full/c.unit, c.cost/c.unit, c.most-c.full
	c.unit = times(c.unit, parts)
	c.full = times(max(burst/parts, 1), c.unit)
	c.most = c.full + wait
	if c.never {
		return c
	}
	c.cost = times(units, c.unit)
	c.need = c.cost - max(0, times(min(units, burst), c.unit)-c.full)
	return c
}

// admits reports whether there is room on top of a backlog. What adds nothing
// needs none.
func (c charge) admits(backlog int64) bool {
	return !c.never && (c.cost == 0 || backlog+c.need <= c.most)
}

// after is the backlog once the charge is taken.
func (c charge) after(backlog int64) int64 { return backlog + c.cost }

// indebted is a backlog with as much of what is owed as there is room for.
func (c charge) indebted(backlog int64) int64 { return max(backlog, min(backlog+c.owed, c.line)) }

// level is how a limit stands that had the backlog before.
func (c charge) level(backlog int64, taken bool) policy.StoreLevel {
	l := policy.StoreLevel{Admitted: c.admits(backlog)}
	switch {
	case c.never:
		l.RetryAfter = -1
	case !l.Admitted:
		l.RetryAfter = micros(backlog + c.owed + c.need - c.most)
	}
	if taken {
		backlog = c.after(backlog)
	}
	l.Remaining = int(max(0, c.full-backlog) / c.unit)
	l.Reset = micros(backlog + c.owed)
	return l
}

// wait is the time until the bucket has room on top of a backlog.
func (c charge) wait(backlog int64) time.Duration { return micros(max(0, backlog+c.need-c.full)) }

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// times is a product of what is not negative, cut to longest.
func times(a, b int64) int64 {
	if b != 0 && a > longest/b {
		return longest
	}
	return a * b
}

// answer is how the limits of a key stood before charges were taken, or not.
type answer struct {
	charges  []charge // as they were taken
	backlogs []int64
	taken    bool
}

func (a answer) levels() []policy.StoreLevel {
	levels := make([]policy.StoreLevel, len(a.charges))
	for i, c := range a.charges {
		levels[i] = c.level(a.backlogs[i], a.taken)
	}
	return levels
}

// admitted reports whether all charges have room.
func admitted(charges []charge, backlogs []int64) bool {
	for i, c := range charges {
		if !c.admits(backlogs[i]) {
			return false
		}
	}
	return true
}
