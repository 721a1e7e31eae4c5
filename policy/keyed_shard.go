package policy

import (
	"sync"
	"sync/atomic"
)

// shard is one part of a [Keyed]: a hash table with linear probing that is read
// without a lock. Entries never move within a table; one that leaves is
// overwritten by a tombstone, an entry whose hash is zero, and a table that
// fills up is replaced.
type shard[K comparable, V any] struct {
	table atomic.Pointer[[]cell[K, V]] // a power of two; replaced under mu

	mu    sync.Mutex
	live  int // entries
	taken int // entries and tombstones
	hand  int // next cell to look at for something idle
}

type cell[K comparable, V any] = atomic.Pointer[entry[K, V]]

type entry[K comparable, V any] struct {
	hash  uint64 // zero: a tombstone
	key   K
	value V
	used  atomic.Bool // since the hand last passed
}

// touch writes only when it must: a key in steady use stays in every core's
// cache.
func (e *entry[K, V]) touch() {
	if !e.used.Load() {
		e.used.Store(true)
	}
}

func (s *shard[K, V]) cells() []cell[K, V] {
	if t := s.table.Load(); t != nil {
		return *t
	}
	return nil
}

func (s *shard[K, V]) find(hash uint64, key K) *entry[K, V] {
	cells := s.cells()
	if len(cells) == 0 {
		return nil
	}
	for i := hash; ; i++ { // some cell is always empty
		e := cells[i&uint64(len(cells)-1)].Load()
		if e == nil {
			return nil
		}
		if e.hash == hash && e.key == key {
			return e
		}
	}
}

// entries yields what is stored; nothing needs to be locked.
func (s *shard[K, V]) entries(yield func(*entry[K, V]) bool) {
	cells := s.cells()
	for i := range cells {
		if e := cells[i].Load(); e != nil && e.hash != 0 && !yield(e) {
			return
		}
	}
}

// insert stores e, whose key is not there, under mu.
func (s *shard[K, V]) insert(e *entry[K, V]) {
	if 4*(s.taken+1) > 3*len(s.cells()) {
		s.rebuild()
	}
	if place(s.cells(), e) {
		s.taken++
	}
	s.live++
}

// rebuild makes a table with room for as many entries again, without the
// tombstones.
func (s *shard[K, V]) rebuild() {
	cells := make([]cell[K, V], max(8, powerOfTwo(2*(s.live+1))))
	for e := range s.entries {
		place(cells, e)
	}
	s.taken = s.live
	s.table.Store(&cells)
}

// place puts e into the first cell that is free, and reports whether that cell
// was empty rather than a tombstone's.
func place[K comparable, V any](cells []cell[K, V], e *entry[K, V]) bool {
	for i := e.hash; ; i++ {
		c := &cells[i&uint64(len(cells)-1)]
		old := c.Load()
		if old == nil || old.hash == 0 {
			c.Store(e)
			return old == nil
		}
	}
}
