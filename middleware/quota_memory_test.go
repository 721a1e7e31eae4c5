package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

const mostKeys = 262_144

// knocker sends requests whose key is a number, cheaply.
type knocker struct {
	h http.Handler
	r *http.Request
	w quietWriter
}

func newKnocker(q *middleware.Quota) *knocker {
	return &knocker{h: q.Handler(answerOK), r: httptest.NewRequest(http.MethodGet, "/", http.NoBody), w: quietWriter{}}
}

func (k *knocker) knock(key int) {
	clear(k.w)
	k.r.Pattern = strconv.Itoa(key)
	k.h.ServeHTTP(k.w, k.r)
}

func byPattern(r *http.Request) string { return r.Pattern }

// quietWriter is the header of a response that is not kept.
type quietWriter http.Header

func (w quietWriter) Header() http.Header         { return http.Header(w) }
func (w quietWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w quietWriter) WriteHeader(int)             {}

// Inbound trap 15: keys beyond the bound share buckets, and whoever is limited
// stays limited.
func TestQuotaOfTenMillionKeysStaysWithinBounds(t *testing.T) {
	keys := 10_000_000
	if raceEnabled {
		keys = 300_000
	}
	q := newQuota(t, perHour(5), byPattern, middleware.WithShadow()) // refusals are counted, and cost no answer
	k := newKnocker(q)
	const hot = -1
	for range 5 {
		k.knock(hot)
	}
	require.EqualValues(t, 5, q.Stats().Admitted)

	before := quotaHeap()
	refused := func() uint64 { return q.Stats().Refused }
	for key := range keys {
		k.knock(key)
		if key%100_000 == 0 {
			known := refused()
			k.knock(hot)
			require.Equal(t, known+1, refused(), "no amnesty for a key that is limited")
		}
	}
	stats := q.Stats()
	require.Equal(t, mostKeys, stats.Keys)
	require.EqualValues(t, keys+1-mostKeys, stats.Shared)
	require.Less(t, quotaHeap()-before, uint64(45<<20), "bytes")
	runtime.KeepAlive(q)
}

func quotaHeap() uint64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// Inbound trap 15: sharing is told, but not by every request that shares.
func TestQuotaTellsNowAndThenThatKeysShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []policy.Decision
		q := newQuota(t, perHour(1), byPattern, middleware.WithoutFields(), recordSharing(&told))
		k := newKnocker(q)
		for key := range mostKeys {
			k.knock(key)
		}
		require.Empty(t, told)
		for range 3 {
			for key := range 100 {
				k.knock(-1 - key)
			}
			time.Sleep(time.Second)
		}
		require.Len(t, told, 3)
		require.Equal(t, policy.ActionBypass, told[0].Action)
		require.Equal(t, "-1", told[0].Key)
		require.EqualValues(t, 300, q.Stats().Shared)
	})
}

func recordSharing(told *[]policy.Decision) middleware.Option {
	return middleware.WithObserver(policy.ObserverFunc(func(_ context.Context, d policy.Decision) {
		if d.Reason == policy.ReasonTooManyKeys {
			*told = append(*told, d)
		}
	}))
}

// A bucket that is full again is as good as a new one, so it makes room.
func TestQuotaGivesRoomOfFullBucketsToNewKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(t, perSecond(1), byPattern, middleware.WithoutFields())
		k := newKnocker(q)
		for key := range mostKeys {
			k.knock(key)
		}
		time.Sleep(time.Second)
		for key := range 10_000 {
			k.knock(-1 - key)
		}
		require.Equal(t, mostKeys, q.Stats().Keys)
		require.Zero(t, q.Stats().Shared)
		require.EqualValues(t, mostKeys+10_000, q.Stats().Admitted)
	})
}

// A slower limit makes buckets full later, also those nobody has asked for since.
func TestQuotaForgetsNobodyAfterAnUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(t, perSecond(1), byPattern, middleware.WithoutFields())
		k := newKnocker(q)
		for key := range mostKeys {
			k.knock(key)
		}
		require.NoError(t, q.Update(perHour(1)))
		time.Sleep(time.Minute)
		for key := range 1000 {
			k.knock(-1 - key)
		}
		require.EqualValues(t, 1000, q.Stats().Shared)
		for key := range 1000 {
			k.knock(key)
		}
		require.GreaterOrEqual(t, q.Stats().Refused, uint64(1000))
	})
}
