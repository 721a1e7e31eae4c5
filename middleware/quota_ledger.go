package middleware

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"strings"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

const (
	maxKeys       = 262_144
	sharedBuckets = 1024
	// tick is how old the clock may be by which buckets are found full.
	tick = time.Millisecond
)

// ledger is the buckets of all keys, in bounded memory.
type ledger struct {
	base     time.Time // the beginning of its clock, which is monotonic
	buckets  *policy.Keyed[string, *bucket]
	seed     maphash.Seed
	overflow [sharedBuckets]bucket
	shared   atomic.Uint64 // requests counted in overflow

	clock  atomic.Int64 // now, up to a tick ago
	packed atomic.Int64 // until when it is known that no key has room
	told   atomic.Int64 // when the sharing was last told
}

func newLedger(current func() *plan) *ledger {
	l := &ledger{base: time.Now(), seed: maphash.MakeSeed()}
	l.told.Store(-int64(tellEvery))
	l.buckets = policy.NewKeyed(maxKeys,
		func(string) *bucket { return new(bucket) },
		func(b *bucket) bool { return b.idle(current(), time.Duration(l.clock.Load())) })
	return l
}

// now is the time since the ledger was made. A nil ledger has no clock.
func (l *ledger) now() time.Duration {
	if l == nil {
		return 0
	}
	return time.Since(l.base)
}

// take takes n units of key under every limit of p, or under none, and tells in
// levels how it stands then. It reports whether the key had to share a bucket.
func (l *ledger) take(p *plan, now time.Duration, key string, n int, levels []policy.StoreLevel) (shares bool) {
	b, found := l.buckets.Lookup(key)
	if !found && n == 0 {
		fresh(p, levels) // nothing to note
		return false
	}
	if !found {
		b = l.newBucket(key, now)
	}
	if b == nil {
		l.shared.Add(1)
		b, shares = &l.overflow[maphash.String(l.seed, key)%sharedBuckets], true
	}
	b.take(p, now, n, levels)
	return shares
}

// newBucket makes a bucket for key. It returns nil if there is no room for one.
func (l *ledger) newBucket(key string, now time.Duration) *bucket {
	if int64(now) < l.packed.Load() {
		return nil // looking for room again would cost much and find little
	}
	if int64(now-tick) > l.clock.Load() {
		l.clock.Store(int64(now))
	}
	b, ok := l.buckets.Get(strings.Clone(key)) // key may be a part of something large
	if !ok {
		l.packed.Store(int64(now + tick))
		return nil
	}
	return b
}

// tellEvery is how often it is told that keys share buckets.
const tellEvery = time.Second

// tells reports whether it is time to tell that keys share buckets.
func (l *ledger) tells(now time.Duration) bool {
	told := l.told.Load()
	return int64(now)-told >= int64(tellEvery) && l.told.CompareAndSwap(told, int64(now))
}

// Keys that are made here begin with these. Those of users that do are hashed,
// so that nobody can have what belongs to another.
const (
	peerPrefix = "peer:"
	hashPrefix = "sha256:"
)

// boundedKey is key, or its hash if it is long.
func boundedKey(key string) string {
	if len(key) <= 64 && !strings.HasPrefix(key, peerPrefix) && !strings.HasPrefix(key, hashPrefix) {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return hashPrefix + hex.EncodeToString(sum[:16])
}
