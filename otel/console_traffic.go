package otel

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// traffic keeps what became of tries in each of the last seconds, by key, and of
// requests. Seconds are counted from since by the monotonic clock: a wall clock
// that is set must not part what happened from when it is looked at.
type traffic struct {
	since time.Time

	mu sync.Mutex
	// Guarded by mu:
	requests flow
	flows    map[string]*flow // of tries, by key
	others   flow             // of keys for which there is no room; only their results and refusals
	full     int64            // second in which room was last sought
}

const (
	trafficSeconds = 60
	flowsMax       = 64
	flowFaint      = trafficSeconds / 10 // so few in the last minute make room for another key
)

// flow is the traffic of a key.
type flow struct {
	key  string
	used bool
	gate string // the policy whose admissions are its rate, until results are told
	told bool   // results have been
	ring [trafficSeconds]second
}

// second is what happened in one second.
type second struct {
	number  int64 // from 1
	tries   uint32
	failed  uint32
	refused uint32
	timed   uint32        // tries whose time is known
	took    time.Duration // of all of them together
	slowest time.Duration
}

// number of the second of at; what was before the first counts for it.
func (t *traffic) number(at time.Time) int64 { return 1 + max(0, int64(at.Sub(t.since)/time.Second)) }

func (t *traffic) decided(d policy.Decision, at time.Time) {
	switch d.Action {
	case policy.ActionAdmit, policy.ActionAcquire, policy.ActionRefuse:
	default:
		return
	}
	number := t.number(at)
	t.mu.Lock()
	defer t.mu.Unlock()
	f := &t.requests
	if !inbound(d.Policy) {
		f = t.of(cmp.Or(d.Key, d.Policy), number)
	}
	s := f.second(number)
	switch {
	case d.Action == policy.ActionRefuse && !d.Shadow:
		s.refused++
	case !f.told && f != &t.others && d.Policy == cmp.Or(f.gate, d.Policy):
		f.gate = d.Policy
		s.tries++
	}
}

// inbound reports whether a policy's decisions are about requests to a server.
func inbound(name string) bool {
	return name == policy.PolicyShed || name == policy.PolicyQuota || name == policy.PolicyDeadline
}

func (t *traffic) ended(r policy.Result) {
	number := t.number(r.Ended)
	t.mu.Lock()
	defer t.mu.Unlock()
	f := &t.requests
	if !r.Inbound {
		f = t.of(cmp.Or(r.Key, "(no key)"), number)
	}
	s := f.second(number)
	if !f.told {
		f.told, s.tries = true, 0 // they were admissions
	}
	s.tries++
	s.timed++
	s.took += r.Took
	s.slowest = max(s.slowest, r.Took)
	if r.Outcome == policy.Failure {
		s.failed++
	}
}

// The methods below require mu.

// of returns the flow of key; that of the others where there is no room.
func (t *traffic) of(key string, number int64) *flow {
	key = bounded(key)
	if f := t.flows[key]; f != nil {
		return f
	}
	if len(t.flows) >= flowsMax && !t.makeRoom(number) {
		t.others.told = true
		return &t.others
	}
	if t.flows == nil {
		t.flows = make(map[string]*flow, flowsMax)
	}
	key = strings.Clone(key)
	f := &flow{key: key}
	t.flows[key] = f
	return f
}

// makeRoom counts the faintest flow among the others, if it is faint; once a
// second at most, for of very many keys all are.
func (t *traffic) makeRoom(number int64) bool {
	if t.full == number {
		return false
	}
	t.full = number
	var faintest *flow
	least := uint64(flowFaint)
	for _, f := range t.flows {
		if n := f.busy(number); n < least {
			faintest, least = f, n
		}
	}
	if faintest == nil {
		return false
	}
	delete(t.flows, faintest.key)
	for _, s := range faintest.ring {
		if s.number > number-trafficSeconds {
			t.others.second(s.number).add(s)
		}
	}
	return true
}

// second returns that of the number. One that is a minute older than the newest
// has no place any more, and nobody will read it.
func (f *flow) second(number int64) *second {
	f.used = true
	s := &f.ring[number%trafficSeconds]
	if s.number > number {
		return new(second)
	}
	if s.number < number {
		*s = second{number: number}
	}
	return s
}

func (s *second) add(other second) {
	s.tries += other.tries
	s.failed += other.failed
	s.refused += other.refused
	s.timed += other.timed
	s.took += other.took
	s.slowest = max(s.slowest, other.slowest)
}

// busy is how many tries and refusals there were in the last minute.
func (f *flow) busy(number int64) (n uint64) {
	for i := range f.ring {
		if s := &f.ring[i]; s.number > number-trafficSeconds {
			n += uint64(s.tries) + uint64(s.refused)
		}
	}
	return n
}

// minute is the traffic of a key in the seconds up to now, oldest first.
type minute struct {
	Key     string                 `json:"key"`               // empty: the sum of all tries, or the requests
	Inbound bool                   `json:"inbound,omitempty"` // requests to the server, not tries
	Tries   [trafficSeconds]uint32 `json:"tries"`
	Failed  [trafficSeconds]uint32 `json:"failed"`
	Refused [trafficSeconds]uint32 `json:"refused"`
	Mean    [trafficSeconds]millis `json:"mean"`
	Slowest [trafficSeconds]millis `json:"slowest"`

	seconds [trafficSeconds]second
	busy    uint64
}

const minutesMax = 12

// minutes returns the sum of all tries whose results are told, the requests if
// there are any, and the keys with the most traffic of those that are told apart.
func (t *traffic) minutes(now time.Time) []*minute {
	all, keys := t.read(t.number(now))
	slices.SortFunc(keys, func(a, b *minute) int {
		return cmp.Or(cmp.Compare(b.busy, a.busy), cmp.Compare(a.Key, b.Key))
	})
	all = append(all, keys...)
	all = all[:min(len(all), minutesMax)]
	for _, m := range all {
		m.finish()
	}
	return all
}

func (t *traffic) read(number int64) (sums, keys []*minute) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tries := new(minute)
	sums = append(sums, tries)
	if t.requests.used {
		requests := &minute{Inbound: true}
		requests.add(&t.requests, number)
		sums = append(sums, requests)
	}
	for _, f := range t.flows {
		keys = append(keys, &minute{Key: f.key, busy: f.busy(number)})
		keys[len(keys)-1].add(f, number)
		if f.told {
			tries.add(f, number)
		} else { // its tries are admissions, of pools among others
			tries.addRefusals(f, number)
		}
	}
	if t.others.used {
		others := &minute{Key: "(others)", busy: t.others.busy(number)}
		others.add(&t.others, number)
		keys = append(keys, others)
		tries.add(&t.others, number)
	}
	return sums, keys
}

func (m *minute) add(f *flow, number int64) {
	for i := range m.seconds {
		m.seconds[i].add(f.at(number - trafficSeconds + 1 + int64(i)))
	}
}

func (m *minute) addRefusals(f *flow, number int64) {
	for i := range m.seconds {
		m.seconds[i].refused += f.at(number - trafficSeconds + 1 + int64(i)).refused
	}
}

// at is the second of that number; empty if nothing happened in it.
func (f *flow) at(number int64) second {
	if s := f.ring[max(number, 0)%trafficSeconds]; s.number == number {
		return s
	}
	return second{}
}

// finish makes figures of what was added.
func (m *minute) finish() {
	for i, s := range m.seconds {
		m.Tries[i], m.Failed[i], m.Refused[i], m.Slowest[i] = s.tries, s.failed, s.refused, ms(s.slowest)
		if s.timed > 0 {
			m.Mean[i] = ms(s.took / time.Duration(s.timed))
		}
	}
}
