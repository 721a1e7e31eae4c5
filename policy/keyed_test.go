package policy_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

// tenant stands for a policy; while busy it must not leave the map.
type tenant struct{ busy atomic.Bool }

func tenants(limit int) *policy.Keyed[string, *tenant] {
	return policy.NewKeyed(limit,
		func(string) *tenant { return new(tenant) },
		func(v *tenant) bool { return !v.busy.Load() })
}

func host(i int) string { return fmt.Sprintf("https://host-%d.example.com:443", i) }

func busyTenant(t *testing.T, m *policy.Keyed[string, *tenant], key string) *tenant {
	t.Helper()
	v, ok := m.Get(key)
	require.True(t, ok)
	v.busy.Store(true)
	return v
}

func TestKeyedMakesOneValuePerKey(t *testing.T) {
	made := map[string]int{}
	m := policy.NewKeyed(10,
		func(k string) *tenant { made[k]++; return new(tenant) },
		func(*tenant) bool { return true })
	a, ok := m.Get("a")
	require.True(t, ok)
	b, ok := m.Get("b")
	require.True(t, ok)
	require.NotSame(t, a, b)
	again, ok := m.Get("a")
	require.True(t, ok)
	require.Same(t, a, again)
	require.Equal(t, map[string]int{"a": 1, "b": 1}, made)
	require.Equal(t, 2, m.Len())
}

func TestKeyedLookupMakesNothing(t *testing.T) {
	m := tenants(10)
	_, ok := m.Lookup("a")
	require.False(t, ok)
	require.Zero(t, m.Len())
	a, _ := m.Get("a")
	found, ok := m.Lookup("a")
	require.True(t, ok)
	require.Same(t, a, found)
}

func TestKeyedIsBoundedExactly(t *testing.T) {
	for _, limit := range []int{1, 2, 3, 7, 8, 63, 64, 65, 100, 1000, 5000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			m := tenants(limit)
			for i := range 3 * limit {
				_, ok := m.Get(host(i))
				require.True(t, ok, "all are idle")
				require.LessOrEqual(t, m.Len(), limit)
			}
			require.Equal(t, limit, m.Len())
			n := 0
			for range m.Range {
				n++
			}
			require.Equal(t, limit, n)
		})
	}
}

func TestKeyedTurnsNewKeysAwayWhileNoneIsIdle(t *testing.T) {
	for _, limit := range []int{1, 2, 64, 65, 1000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			m := tenants(limit)
			for i := range limit {
				busyTenant(t, m, host(i))
			}
			for i := range 100 {
				v, ok := m.Get(host(limit + i))
				require.False(t, ok)
				require.Nil(t, v)
			}
			require.Equal(t, limit, m.Len())
			for i := range limit {
				_, ok := m.Lookup(host(i))
				require.True(t, ok, "what is busy stays")
			}
		})
	}
}

func TestKeyedFindsTheOnlyIdleKeyOfASmallMap(t *testing.T) {
	for _, limit := range []int{1, 2, 5, 64} {
		m := tenants(limit)
		for i := range limit {
			busyTenant(t, m, host(i))
		}
		for round := range 50 {
			leaves := rand.IntN(limit)
			i := 0
			for _, v := range m.Range {
				v.busy.Store(i != leaves)
				i++
			}
			busyTenant(t, m, host(1000+round))
			require.Equal(t, limit, m.Len())
		}
	}
}

func TestKeyedFindsIdleKeysAmongManyBusyOnes(t *testing.T) {
	const limit = 10_000
	m := tenants(limit)
	for i := range limit {
		v := busyTenant(t, m, host(i))
		v.busy.Store(i%5 != 0) // one in five is idle
	}
	for i := range limit / 10 {
		_, ok := m.Get(host(limit + i))
		require.True(t, ok)
	}
	require.Equal(t, limit, m.Len())
}

func TestKeyedKeepsWhatIsUsed(t *testing.T) {
	for _, c := range []struct{ limit, lost int }{
		{4, 0},
		{64, 10},   // of 6,400: a new table has another order
		{1000, 50}, // of 100,000: its parts fill up unevenly
	} {
		t.Run(fmt.Sprint(c.limit), func(t *testing.T) {
			m := tenants(c.limit)
			used := make([]*tenant, c.limit/2)
			lost := -len(used) // all are new once
			for i := range 10 * c.limit {
				for j := 0; i%max(1, c.limit/20) == 0 && j < len(used); j++ {
					v, ok := m.Get(host(j))
					require.True(t, ok)
					if v != used[j] {
						used[j] = v
						lost++
					}
				}
				_, ok := m.Get(host(c.limit + i))
				require.True(t, ok)
			}
			require.LessOrEqual(t, lost, c.lost)
		})
	}
}

func TestKeyedLookupIsNoUse(t *testing.T) {
	m := tenants(2)
	m.Get("used")
	m.Get("looked at")
	m.Get("used")
	m.Lookup("looked at")
	m.Get("new")
	_, ok := m.Lookup("looked at")
	require.False(t, ok)
	_, ok = m.Lookup("used")
	require.True(t, ok)
}

func TestKeyedMakesAValueOnceForThoseWhoAskTogether(t *testing.T) {
	const callers = 16
	for range 200 {
		var made atomic.Int32
		m := policy.NewKeyed(1,
			func(string) *tenant { made.Add(1); runtime.Gosched(); return new(tenant) },
			func(v *tenant) bool { return false })
		var got [callers]*tenant
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() { got[i], _ = m.Get("a") })
		}
		wg.Wait()
		require.EqualValues(t, 1, made.Load())
		for _, v := range got {
			require.Same(t, got[0], v)
		}
	}
}

func TestKeyedSurvivesAPanicOfCreate(t *testing.T) {
	broken := true
	m := policy.NewKeyed(1, func(string) *tenant {
		if broken {
			panic("boom")
		}
		return new(tenant)
	}, func(*tenant) bool { return true })
	require.PanicsWithValue(t, "boom", func() { m.Get("a") })
	require.Zero(t, m.Len())
	broken = false
	_, ok := m.Get("a")
	require.True(t, ok)
	require.Equal(t, 1, m.Len())
}

func TestKeyedRangeStopsWhenTold(t *testing.T) {
	m := tenants(1000)
	for i := range 1000 {
		m.Get(host(i))
	}
	seen := map[string]bool{}
	for k, v := range m.Range {
		found, ok := m.Lookup(k) // the map may be used meanwhile
		require.True(t, ok)
		require.Same(t, found, v)
		seen[k] = true
		if len(seen) == 10 {
			break
		}
	}
	require.Len(t, seen, 10)
}

func TestKeyedUnderManyGoroutinesKeepsItsBoundAndItsBusyKeys(t *testing.T) {
	for _, limit := range []int{1, 2, 64, 500} {
		m := tenants(limit)
		pinned := busyTenant(t, m, "pinned")
		var wg sync.WaitGroup
		for g := range uint64(8) {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(g, 0))
				for range 2000 {
					v, ok := m.Get(host(rnd.IntN(3 * limit)))
					if ok != (v != nil) || m.Len() > limit {
						t.Errorf("limit %d: %v, %v, %d keys", limit, v, ok, m.Len())
						return
					}
					if v, _ := m.Get("pinned"); v != pinned {
						t.Error("a busy key left the map")
						return
					}
				}
			})
		}
		wg.Wait()
		n := 0
		for range m.Range {
			n++
		}
		require.Equal(t, m.Len(), n)
	}
}

func TestKeyedTakesAMillionKeysInBoundedMemory(t *testing.T) {
	const limit = 10_000
	keys := 1_000_000
	if raceEnabled {
		keys /= 20
	}
	m := tenants(limit)
	for i := range limit {
		m.Get(host(i))
	}
	before := heapInUse()
	for i := range keys {
		m.Get(host(limit + i))
	}
	require.Equal(t, limit, m.Len())
	require.Less(t, heapInUse(), before+1<<20, "bytes")
	runtime.KeepAlive(m)
}

func heapInUse() uint64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

func TestKeyedOverheadPerKeyIsWhatItsCommentSays(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const keys, limit = 10_000, 10_000
	names := make([]string, keys)
	for i := range names {
		names[i] = host(i)
	}
	v := new(tenant)
	before := heapInUse()
	m := policy.NewKeyed(limit, func(string) *tenant { return v }, func(*tenant) bool { return true })
	for _, name := range names {
		m.Get(name)
	}
	const own = 16 + 8 // a string and a pointer
	overhead := float64(heapInUse()-before)/keys - own
	require.Less(t, overhead, 60.0, "bytes")
	runtime.KeepAlive(m)
	runtime.KeepAlive(names)
}

func TestKeyedPanicsOnWhatCannotWork(t *testing.T) {
	require.PanicsWithError(t, `magnetar: invalid Keyed:
limit: 0: must be ≥ 1
create: must be set
idle: must be set`, func() { policy.NewKeyed[string, *tenant](0, nil, nil) })
}

func TestKeyedHitAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	m := tenants(100)
	m.Get("a")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		m.Get("a")
		m.Lookup("a")
		m.Lookup("b")
	}))
}

func BenchmarkKeyedHit(b *testing.B) {
	for _, keys := range []int{1, 1000, 10_000} {
		m := tenants(10_000)
		names := make([]string, keys)
		for i := range names {
			names[i] = host(i)
			m.Get(names[i])
		}
		b.Run(fmt.Sprintf("keys=%d/serial", keys), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				m.Get(names[i])
				if i++; i == keys {
					i = 0
				}
			}
		})
		b.Run(fmt.Sprintf("keys=%d/parallel", keys), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); {
					m.Get(names[i])
					if i++; i == keys {
						i = 0
					}
				}
			})
		})
	}
}

// BenchmarkKeyedMiss streams new keys through a full map.
func BenchmarkKeyedMiss(b *testing.B) {
	const limit = 10_000
	for name, busy := range map[string]bool{"idle": false, "busy": true} {
		b.Run(name, func(b *testing.B) {
			m := policy.NewKeyed(limit,
				func(int) *tenant { return new(tenant) },
				func(v *tenant) bool { return !v.busy.Load() })
			for i := range limit {
				v, _ := m.Get(i)
				v.busy.Store(busy)
			}
			b.ReportAllocs()
			for i := limit; b.Loop(); i++ {
				m.Get(i)
			}
		})
	}
}
