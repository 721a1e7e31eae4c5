package redislimit

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/magnetar-go/magnetar/policy"
)

// trip is one pipeline to Redis and back. It is over after the timeout even if
// go-redis still hangs then, in a goroutine that ends with its read timeout.
type trip struct {
	ctx    context.Context
	calls  []*call
	permit policy.Permit
	ledger *ledger // that learns of it; nil for none
	began  uint64  // in the order of trips and answers
	start  time.Time
	over   atomic.Bool
	end    func() // called once
}

// result is what became of one call.
type result struct {
	answer answer
	err    error
}

// fly takes calls along, unless the breaker has opened while they waited.
func (s *Store) fly(calls []*call) {
	ctx := context.WithoutCancel(calls[0].ctx)
	permit, err := s.breaker.Admit(ctx)
	if err != nil || permit.Trial() { // trials are probes, on which nobody waits
		permit.Done(ctx, policy.Ignored)
		for _, c := range calls {
			c.settle(answer{}, s.lastFault())()
		}
		s.line.landed()
		return
	}
	s.travel(&trip{ctx: ctx, calls: calls, permit: permit, ledger: s.local, end: s.line.landed})
}

func (s *Store) travel(t *trip) {
	s.trips.Add(1)
	t.start, t.began = time.Now(), t.ledger.depart(t.calls)
	timer := time.AfterFunc(s.cfg.Timeout, func() { s.arrive(t, alike(len(t.calls), errTimeout)) })
	defer timer.Stop()
	ctx, cancel := context.WithTimeout(t.ctx, s.cfg.Timeout)
	defer cancel()
	results := alike(len(t.calls), errGone)
	defer func() { // a hook of the client's may panic, or end the goroutine
		if v := recover(); v != nil {
			results = alike(len(t.calls), panicked(v))
		}
		s.arrive(t, results)
	}()
	results = s.roundTrip(ctx, t.calls)
}

// alike are so many results that failed.
func alike(n int, err error) []result {
	results := make([]result, n)
	for i := range results {
		results[i].err = err
	}
	return results
}

// arrive hands out the results, and tells the breaker. Whoever has no answer
// learns it after the breaker, but before the observer of that.
func (s *Store) arrive(t *trip, results []result) {
	if !t.over.CompareAndSwap(false, true) {
		return
	}
	outcome := policy.Success
	var failed []func()
	var absent absence
	for i, c := range t.calls {
		r := results[i]
		if r.err == nil {
			t.ledger.note(c, r.answer, t.began)
			c.settle(r.answer, nil)()
			continue
		}
		f := faultOf(r.err)
		t.ledger.lost(c, f)
		if f.verdict == policy.Failure {
			outcome, absent.fault = policy.Failure, f
			absent.ids = append(absent.ids, c.id)
		}
		failed = append(failed, c.settle(answer{}, f))
	}
	if outcome == policy.Success && s.slow(t) { // which may open the breaker too
		absent.fault = errSlow
		for _, c := range t.calls {
			absent.ids = append(absent.ids, c.id)
		}
	}
	if f := absent.fault; f != nil {
		slices.Sort(absent.ids)
		absent.ids = slices.Compact(absent.ids)
		absent.fault = notAsked(f)
		s.last.Store(&absent)
	}
	t.permit.Done(t.ctx, outcome)
	for _, tell := range failed {
		tell()
	}
	t.end()
}

// slow reports whether the breaker counts a trip as slow.
func (s *Store) slow(t *trip) bool {
	limit := s.cfg.Breaker.SlowCall
	return limit > 0 && time.Since(t.start) >= limit && s.breaker.State() == policy.Closed
}

// once is a command that go-redis does not repeat by itself, whatever the client
// is configured to: the units may be taken already.
type once struct{ *redis.Cmd }

func (once) NoRetry() bool { return true }

// send adds what the call asks for to a pipeline.
func (s *Store) send(ctx context.Context, pipe redis.Pipeliner, verb, script string, c *call) *redis.Cmd {
	const keys = 1
	args := append([]any{verb, script, keys, s.cfg.Prefix + c.id}, arguments(c.sent)...)
	cmd := redis.NewCmd(ctx, args...)
	cmd.SetFirstKeyPos(3)
	_ = pipe.Process(ctx, once{cmd}) // it is kept until Exec
	return cmd
}

// roundTrip asks Redis. Where it does not know the script, none of that call has
// been done, and it is sent again with the script's text.
func (s *Store) roundTrip(ctx context.Context, calls []*call) []result {
	results := make([]result, len(calls))
	cmds := make([]*redis.Cmd, len(calls))
	pipe := s.client.Pipeline()
	for i, c := range calls {
		cmds[i] = s.send(ctx, pipe, "evalsha", scriptHash, c)
	}
	_, failed := pipe.Exec(ctx)
	pipe = s.client.Pipeline()
	for i, c := range calls {
		if noScript(cmds[i].Err()) {
			cmds[i] = s.send(ctx, pipe, "eval", Script, c)
		}
	}
	if pipe.Len() > 0 {
		_, failed = pipe.Exec(ctx)
	}
	for i, c := range calls {
		reply, err := cmds[i].Result()
		if err == nil && reply == nil { // it did not get so far: the password was wrong, say
			err = failed
		}
		if err == nil {
			results[i].answer, err = parse(reply, c.sent)
		}
		results[i].err = err
	}
	return results
}
