package policy

import (
	"container/heap"
	"math/bits"
	"time"

	"github.com/failsafe-go/failsafe-go/ratelimiter"
)

// schedule is one failsafe-go limiter and what it cannot do: take a reservation
// back, tell what is left of it, be idle with a debt, and change its limit.
//
// Time is cut into steps, numbered from zero at start: periods when bursty,
// slots when smooth. Every step has burst turns, good only within it.
type schedule struct {
	config RateLimiterConfig
	start  time.Time
	step   time.Duration
	burst  int
	// engine is nil in step 0 after a change of the limit: it could not be told
	// when that step began. Until then, turn n is in step n / burst, and given
	// of them are given out; used is what step 0 had seen before the change.
	engine ratelimiter.RateLimiter[any]
	given  int
	used   int
	// owes is the last step that was reserved ahead, until the engine is known
	// to have got there; zero for none. Left alone beyond that step, an engine
	// in debt would add up the steps it missed into one great burst.
	owes int64
	// returned turns, earliest first. New ones are reserved only when there is
	// none, so there are never more than callers who waited at once.
	returned turns
}

// turn is the right to pass in a step.
type turn struct {
	step int64
	due  time.Time
}

func newSchedule(c RateLimiterConfig, start time.Time) *schedule {
	s := &schedule{config: c, start: start, step: c.Per, burst: c.Limit}
	if c.Pacing == PacingSmooth {
		n := time.Duration(c.Limit)
		s.burst, s.step = 1, (c.Per+n-1)/n // rounded up: never more than the limit
	}
	return s
}

// startEngine returns a schedule that begins now, with used turns of its first
// step gone.
func startEngine(c RateLimiterConfig, now time.Time, used int) *schedule {
	s := newSchedule(c, now)
	if c.Pacing == PacingSmooth {
		s.engine = ratelimiter.NewSmoothWithMaxRate[any](s.step)
	} else {
		s.engine = ratelimiter.NewBursty[any](uint(s.burst), s.step)
	}
	if used > 0 {
		s.engine.TryAcquirePermits(uint(used))
	}
	return s
}

// resized returns the schedule of another limit, with what the present step has
// given out counted: no step gets more than the larger of both limits.
func (s *schedule) resized(limit int, now time.Time) *schedule {
	c := s.config
	c.Limit = limit
	at := s.at(now)
	next := newSchedule(c, s.begin(at))
	next.used = s.spent(at)
	next.given = min(next.used, next.burst)
	if next.used == 0 || next.at(now) > 0 {
		return startEngine(c, now, 0)
	}
	return next
}

// renewed returns the schedule to go on with: s itself, unless it has run out.
func (s *schedule) renewed(now time.Time) *schedule {
	at := s.at(now)
	switch {
	case s.engine == nil && at > 0:
		return startEngine(s.config, now, s.spent(at))
	case s.owes != 0 && at > s.owes:
		return startEngine(s.config, now, 0) // nothing is given out after owes
	}
	return s
}

// takeFree takes a turn of the present step. It may fail though there is one,
// when it takes a clock to tell; book finds it.
func (s *schedule) takeFree() bool {
	return s.engine != nil && s.owes == 0 && len(s.returned) == 0 && s.engine.TryAcquirePermit()
}

// book tells the next turn, and takes it if it is due now or by latest.
func (s *schedule) book(now, latest time.Time) (turn, bool) {
	s.dropPast(now)
	if len(s.returned) == 0 {
		step := s.reserve(now)
		if step <= s.at(now) {
			return turn{step, now}, true
		}
		heap.Push(&s.returned, step)
	}
	step := s.returned[0]
	t := turn{step, s.begin(step)}
	if t.due.After(now) && t.due.After(latest) {
		return t, false
	}
	heap.Pop(&s.returned)
	return t, true
}

// giveBack offers a booked turn to the next caller.
func (s *schedule) giveBack(t turn) { heap.Push(&s.returned, t.step) }

// takeAll takes all turns of the present step if none was taken.
func (s *schedule) takeAll() bool {
	return s.engine != nil && s.engine.TryAcquirePermits(uint(s.burst))
}

// reserve returns the step of the next new turn.
func (s *schedule) reserve(now time.Time) int64 {
	if s.engine == nil {
		s.given++
		return int64((s.given - 1) / s.burst)
	}
	wait := s.engine.ReservePermit()
	if wait == 0 {
		s.owes = 0
		return s.at(now)
	}
	// To the nearest step: the engine's clock was read a little later.
	s.owes = s.at(now.Add(wait + s.step/2))
	return s.owes
}

// spent empties the present step and tells how much of it had been given out.
func (s *schedule) spent(at int64) int {
	n := s.burst
	switch {
	case s.engine != nil:
		n -= drain(s.engine, s.burst)
	case at == 0:
		n = s.used + min(s.given, s.burst) - min(s.used, s.burst)
	default:
		n = min(max(0, s.given-int(at)*s.burst), s.burst)
	}
	for _, step := range s.returned {
		if step == at {
			n--
		}
	}
	return n
}

// drain takes what is left, up to most, and tells how much it was.
func drain(engine ratelimiter.RateLimiter[any], most int) int {
	left := 0
	for n := 1 << (bits.Len(uint(most)) - 1); n > 0; n >>= 1 {
		if engine.TryAcquirePermits(uint(n)) {
			left += n
		}
	}
	return left
}

// dropPast drops the returned turns that nobody came for in time.
func (s *schedule) dropPast(now time.Time) {
	for len(s.returned) > 0 && s.returned[0] < s.at(now) {
		heap.Pop(&s.returned)
	}
}

func (s *schedule) begin(step int64) time.Time {
	return s.start.Add(time.Duration(step) * s.step)
}

func (s *schedule) at(t time.Time) int64 { return int64(t.Sub(s.start) / s.step) }

// turns is a heap of steps, one per turn.
type turns []int64

func (t turns) Len() int           { return len(t) }
func (t turns) Less(i, j int) bool { return t[i] < t[j] }
func (t turns) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *turns) Push(step any)     { *t = append(*t, step.(int64)) }

func (t *turns) Pop() any {
	last := len(*t) - 1
	step := (*t)[last]
	*t = (*t)[:last]
	return step
}
