package policy

import (
	"errors"
	"hash/maphash"
	"math/bits"
	"sync/atomic"
)

// Keyed is a bounded map that makes one V per key when the key is first asked
// for: a breaker per host, a bucket per client. It is safe for concurrent use;
// looking up a key that is there takes no lock, reads no clock and allocates
// nothing.
//
// When the map is full, a new key takes the place of an idle one. Those that
// were not asked for lately leave before those that were (the CLOCK algorithm,
// Corbató 1968: each use sets a mark, a hand that passes clears it). To keep
// that cheap the hand looks at a part of a large map only, about a hundred keys:
//
//   - never are more than limit keys stored, whatever the limit;
//   - up to 64 keys, one key leaves whenever any is idle;
//   - above, a key may be turned away although an idle one is left somewhere,
//     which is likely only where few are.
//
// Each key takes 35 to 60 bytes besides K, V and what they point to; an empty map
// takes up to 4 KiB.
type Keyed[K comparable, V any] struct {
	create func(K) V
	idle   func(V) bool
	limit  int64
	seed   maphash.Seed
	gone   *entry[K, V] // stands where an entry was

	shards []shard[K, V] // a power of two
	stored atomic.Int64  // never above limit
	next   atomic.Uint32 // shard to look at for something idle
}

const (
	shardKeys = 64  // keys per shard, until there are maxShards
	maxShards = 64  // bounds what an empty map takes
	sweep     = 128 // cells a hand passes per new key: a whole shard of shardKeys
	detours   = 3   // other shards a new key looks at
)

// NewKeyed returns an empty map for up to limit keys. create makes the value of
// a new key, once, also for callers that ask at the same time. idle reports
// whether a value can be dropped without loss, for an equal one would be made in
// its place. Both run with a part of the map locked, so they must be quick and
// not call back into it. NewKeyed panics when limit is below 1 or a function is
// missing.
func NewKeyed[K comparable, V any](limit int, create func(K) V, idle func(V) bool) *Keyed[K, V] {
	var f Faults
	if limit < 1 {
		f.Addf("limit", "%d: must be ≥ 1", limit)
	}
	if create == nil {
		f.Add("create", errMissing)
	}
	if idle == nil {
		f.Add("idle", errMissing)
	}
	must("Keyed", f.Err())
	return &Keyed[K, V]{
		create: create,
		idle:   idle,
		limit:  int64(limit),
		seed:   maphash.MakeSeed(),
		gone:   &entry[K, V]{},
		shards: make([]shard[K, V], min(maxShards, powerOfTwo((limit+shardKeys-1)/shardKeys))),
	}
}

var errMissing = errors.New("must be set")

// Get returns the value of key, made now if it is new. It returns false when the
// map is full of keys that are not idle; then nothing is made or stored, and the
// caller goes without or shares another key's.
//
// A value in hand may leave the map while it is idle, so get it anew for each
// call.
func (m *Keyed[K, V]) Get(key K) (V, bool) {
	h, s := m.locate(key)
	if e := s.find(h, key); e != nil {
		e.touch()
		return e.value, true
	}
	return m.add(s, h, key)
}

// Lookup returns the value of key if it is there. It does not count as a use.
func (m *Keyed[K, V]) Lookup(key K) (V, bool) {
	h, s := m.locate(key)
	if e := s.find(h, key); e != nil {
		return e.value, true
	}
	var none V
	return none, false
}

// Len returns how many keys are stored.
func (m *Keyed[K, V]) Len() int { return int(m.stored.Load()) }

// Range calls yield for every key until it returns false. Nothing is locked, so
// yield may use the map, and what changes meanwhile is seen or not.
func (m *Keyed[K, V]) Range(yield func(K, V) bool) {
	for i := range m.shards {
		for e := range m.shards[i].entries {
			if !yield(e.key, e.value) {
				return
			}
		}
	}
}

// locate returns the hash of key, never zero, and the shard it belongs to.
func (m *Keyed[K, V]) locate(key K) (uint64, *shard[K, V]) {
	h := maphash.Comparable(m.seed, key) | 1<<63
	return h, &m.shards[h>>32&uint64(len(m.shards)-1)] // cells go by the low bits
}

func (m *Keyed[K, V]) add(s *shard[K, V], h uint64, key K) (V, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.find(h, key); e != nil {
		e.touch()
		return e.value, true
	}
	if !m.reserve(s) {
		var none V
		return none, false
	}
	added := false
	defer func() {
		if !added { // create panicked
			m.stored.Add(-1)
		}
	}()
	e := &entry[K, V]{hash: h, key: key, value: m.create(key)}
	s.insert(e)
	added = true
	return e.value, true
}

// reserve counts one more key, or one for one that leaves. s is locked.
func (m *Keyed[K, V]) reserve(s *shard[K, V]) bool {
	for n := m.stored.Load(); n < m.limit; n = m.stored.Load() {
		if m.stored.CompareAndSwap(n, n+1) {
			return true
		}
	}
	return m.evict(s) || m.evictElsewhere(s)
}

// evictElsewhere tries a few other shards, one after the other in turn. Busy
// ones are passed by, for waiting while s is locked could deadlock.
func (m *Keyed[K, V]) evictElsewhere(s *shard[K, V]) bool {
	for range min(detours, len(m.shards)-1) {
		other := m.neighbour(s)
		if !other.mu.TryLock() {
			continue
		}
		evicted := m.evict(other)
		other.mu.Unlock()
		if evicted {
			return true
		}
	}
	return false
}

func (m *Keyed[K, V]) neighbour(s *shard[K, V]) *shard[K, V] {
	last := uint32(len(m.shards) - 1)
	other := &m.shards[m.next.Add(1)&last]
	if other == s {
		other = &m.shards[m.next.Add(1)&last]
	}
	return other
}

// evict drops an idle entry of s, which is locked: the first under the hand that
// is not marked, else the first that is.
func (m *Keyed[K, V]) evict(s *shard[K, V]) bool {
	cells := s.cells()
	var victim *cell[K, V]
	for range min(sweep, len(cells)) {
		c := &cells[s.hand&(len(cells)-1)]
		s.hand++
		e := c.Load()
		if e == nil || e == m.gone {
			continue
		}
		used := e.used.Swap(false)
		if used && victim != nil || !m.idle(e.value) {
			continue
		}
		victim = c
		if !used {
			break
		}
	}
	if victim == nil {
		return false
	}
	victim.Store(m.gone)
	s.live--
	return true
}

// powerOfTwo returns the least power of two that is ≥ n.
func powerOfTwo(n int) int { return 1 << bits.Len(uint(n-1)) }
