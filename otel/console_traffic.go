package otel

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// traffic keeps what became of tries and requests in each of the last seconds,
// by key.
type traffic struct {
	mu sync.Mutex
	// Guarded by mu:
	flows  map[string]*flow
	others flow  // of the keys for which there was no room
	full   int64 // second in which there was found to be none
}

const (
	trafficSeconds = 60
	flowsMax       = 64
)

// flow is the traffic of a key.
type flow struct {
	key  string
	gate string // the policy whose admissions are its rate, until results are told
	last int64  // second in which anything happened
	told bool   // results have been
	ring [trafficSeconds]second
}

// second is what happened in one second.
type second struct {
	at      int64 // Unix time
	tries   uint32
	failed  uint32
	refused uint32
	took    time.Duration // of all together
	slowest time.Duration
	timed   uint32 // tries whose time is known
}

func (t *traffic) decided(d policy.Decision, at time.Time) {
	switch d.Action {
	case policy.ActionAdmit, policy.ActionAcquire, policy.ActionRefuse:
	default:
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := cmp.Or(d.Key, d.Policy)
	if d.Policy == policy.PolicyQuota {
		key = d.Policy // its keys are clients
	}
	f := t.of(key, at.Unix())
	s := f.second(at.Unix())
	switch {
	case s == nil:
	case d.Action == policy.ActionRefuse:
		s.refused++
	case !f.told && d.Policy == cmp.Or(f.gate, d.Policy):
		f.gate = d.Policy
		s.tries++
	}
}

func (t *traffic) ended(r policy.Result) {
	at := r.Ended.Unix()
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.of(cmp.Or(r.Key, r.Policy), at)
	s := f.second(at)
	if s == nil {
		return
	}
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
func (t *traffic) of(key string, at int64) *flow {
	key = bounded(key)
	if f := t.flows[key]; f != nil {
		return f
	}
	if len(t.flows) >= flowsMax && !t.makeRoom(at) {
		return &t.others
	}
	if t.flows == nil {
		t.flows = make(map[string]*flow, flowsMax)
	}
	f := &flow{key: key, last: at}
	t.flows[key] = f
	return f
}

// makeRoom forgets the flow that has been silent for longest, if for as long as
// is shown. It looks no more than once a second.
func (t *traffic) makeRoom(at int64) bool {
	if t.full == at {
		return false
	}
	silent := &flow{last: at - trafficSeconds + 1}
	for _, f := range t.flows {
		if f.last < silent.last {
			silent = f
		}
	}
	if t.flows[silent.key] != silent {
		t.full = at
		return false
	}
	delete(t.flows, silent.key)
	return true
}

// second returns the second at, nil if it is over and out.
func (f *flow) second(at int64) *second {
	s := &f.ring[uint64(at)%trafficSeconds]
	if s.at > at {
		return nil
	}
	if s.at < at {
		*s = second{at: at}
	}
	f.last = max(f.last, at)
	return s
}

// minute is the traffic of a key in the seconds up to now, oldest first.
type minute struct {
	Key     string                 `json:"key"` // empty: the sum of all
	Tries   [trafficSeconds]uint32 `json:"tries"`
	Failed  [trafficSeconds]uint32 `json:"failed"`
	Refused [trafficSeconds]uint32 `json:"refused"`
	Mean    [trafficSeconds]millis `json:"mean"`
	Slowest [trafficSeconds]millis `json:"slowest"`
	took    [trafficSeconds]time.Duration
	timed   [trafficSeconds]uint32
	busy    uint64
}

const minutesMax = 12

// minutes returns the sum of all and the keys with the most traffic.
func (t *traffic) minutes(now time.Time) []*minute {
	sum := new(minute)
	all := t.read(now.Unix(), sum)
	slices.SortFunc(all, func(a, b *minute) int {
		return cmp.Or(cmp.Compare(b.busy, a.busy), cmp.Compare(a.Key, b.Key))
	})
	all = slices.Insert(all, 0, sum)[:min(len(all)+1, minutesMax)]
	for _, m := range all {
		for i, n := range m.timed {
			if n > 0 {
				m.Mean[i] = ms(m.took[i] / time.Duration(n))
			}
		}
	}
	return all
}

func (t *traffic) read(now int64, sum *minute) []*minute {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*minute, 0, len(t.flows)+2)
	for _, f := range t.flows {
		all = append(all, f.read(now, f.key, sum))
	}
	if t.others.last > 0 {
		all = append(all, t.others.read(now, "(others)", sum))
	}
	return all
}

func (f *flow) read(now int64, key string, sum *minute) *minute {
	m := &minute{Key: key}
	for i := range trafficSeconds {
		at := now - trafficSeconds + 1 + int64(i)
		if s := &f.ring[uint64(at)%trafficSeconds]; s.at == at {
			m.add(i, s)
			sum.add(i, s)
		}
	}
	return m
}

func (m *minute) add(i int, s *second) {
	m.Tries[i] += s.tries
	m.Failed[i] += s.failed
	m.Refused[i] += s.refused
	m.Slowest[i] = max(m.Slowest[i], ms(s.slowest))
	m.took[i] += s.took
	m.timed[i] += s.timed
	m.busy += uint64(s.tries) + uint64(s.refused)
}
