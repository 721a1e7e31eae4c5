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
	keys  *policy.Keyed[string, *leftTurns]
}

func newTurns() *turns {
	t := &turns{start: time.Now()}
	t.keys = policy.NewKeyed(localKeys,
		func(string) *leftTurns { return new(leftTurns) },
		func(l *leftTurns) bool { return l.last.Load() <= int64(time.Since(t.start)) })
	return t
}

// leave leaves a turn that has yet to come. With too many keys it is unused.
func (t *turns) leave(key string, one turn) {
	if l, ok := t.keys.Get(key); ok {
		l.add(one, int64(one.at.Sub(t.start)))
	}
}

// take is the first turn of so many units that is left, if it comes until the latest
// moment.
func (t *turns) take(key string, units int, latest time.Time) (turn, bool) {
	l, ok := t.keys.Lookup(key)
	if !ok || l.last.Load() <= int64(time.Since(t.start)) {
		return turn{}, false
	}
	return l.take(units, latest)
}

// leftTurns are those of a key.
type leftTurns struct {
	last atomic.Int64 // when the last of them comes, since the start; set under mu

	mu sync.Mutex
	// Guarded by mu:
	line []turn // the first one first
}

func (l *leftTurns) add(one turn, at int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, _ := slices.BinarySearchFunc(l.line, one, func(a, b turn) int { return a.at.Compare(b.at) })
	l.line = slices.Insert(l.line, i, one)
	l.last.Store(max(at, l.last.Load()))
}

func (l *leftTurns) take(units int, latest time.Time) (turn, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.line = slices.DeleteFunc(l.line, func(t turn) bool { return !t.at.After(now) })
	i := slices.IndexFunc(l.line, func(t turn) bool { return t.units >= units })
	if i < 0 || l.line[i].at.After(latest) {
		return turn{}, false
	}
	one := turn{l.line[i].at, units}
	if l.line[i].units -= units; l.line[i].units == 0 {
		l.line = slices.Delete(l.line, i, i+1)
	}
	return one, true
}
