package redislimit

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// turn is when a charge may pass, by the clock of this process.
type turn struct {
	at    time.Time
	units int
}

// turns are those of callers who left before they came, by key, for others of the
// same key to take. They are not given back to Redis: only the last of the line could
// be, for it knows of the others no more than how many there are. Of an early one it
// would make a late one, and soon many would come at once.
type turns struct {
	start time.Time
	last  atomic.Int64 // when the last of all comes, since the start
	keys  *policy.Keyed[string, *leftTurns]
}

func newTurns() *turns {
	return &turns{start: time.Now(), keys: policy.NewKeyed(localKeys,
		func(string) *leftTurns { return new(leftTurns) },
		func(l *leftTurns) bool { return l.left.Load() == 0 })}
}

// leave leaves a turn that has yet to come. With too many keys it is unused.
func (t *turns) leave(key string, one turn) {
	l, ok := t.keys.Get(identity(key))
	if !ok {
		return
	}
	l.add(one)
	at := int64(one.at.Sub(t.start))
	for {
		if last := t.last.Load(); last >= at || t.last.CompareAndSwap(last, at) {
			return
		}
	}
}

// take is the first turn of so many units that is left, if it comes in so long. Mostly
// none is left, and nobody looks at a clock.
func (t *turns) take(key string, units int, wait time.Duration) (turn, bool) {
	last := t.last.Load()
	if last == 0 || last <= int64(time.Since(t.start)) {
		return turn{}, false
	}
	l, ok := t.keys.Lookup(identity(key))
	if !ok || l.left.Load() == 0 {
		return turn{}, false
	}
	return l.take(units, wait)
}

// leftTurns are those of a key.
type leftTurns struct {
	left atomic.Int64 // how many; set under mu

	mu sync.Mutex
	// Guarded by mu:
	line    []turn // the first one first
	expires bool   // a timer is set for the last one
}

func (l *leftTurns) add(one turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, _ := slices.BinarySearchFunc(l.line, one, func(a, b turn) int { return a.at.Compare(b.at) })
	l.change(slices.Insert(l.line, i, one))
	if !l.expires {
		l.expires = true
		time.AfterFunc(time.Until(one.at), l.expire)
	}
}

// expire lets go what nobody has taken in time.
func (l *leftTurns) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropPast(time.Now())
	if l.expires = len(l.line) > 0; l.expires {
		time.AfterFunc(time.Until(l.line[len(l.line)-1].at), l.expire)
	}
}

func (l *leftTurns) take(units int, wait time.Duration) (turn, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	latest := now.Add(wait)
	l.dropPast(now)
	i := slices.IndexFunc(l.line, func(t turn) bool { return t.units >= units || t.at.After(latest) })
	if i < 0 || l.line[i].at.After(latest) {
		return turn{}, false
	}
	one := turn{l.line[i].at, units}
	switch l.line[i].units -= units; {
	case l.line[i].units > 0:
	case i == 0:
		l.change(l.line[1:])
	default:
		l.change(slices.Delete(l.line, i, i+1))
	}
	return one, true
}

func (l *leftTurns) dropPast(now time.Time) {
	past := 0
	for past < len(l.line) && !l.line[past].at.After(now) {
		past++
	}
	l.change(l.line[past:])
}

// change is called with what is left. An empty line takes no room.
func (l *leftTurns) change(line []turn) {
	if len(line) == 0 {
		line = nil
	}
	l.line = line
	l.left.Store(int64(len(line)))
}
