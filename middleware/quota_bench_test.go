package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/otel"
)

// The recorder of a response and its header are not counted: the writer is used
// again and its map has grown.
func TestQuotaAllocatesLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	hourly := middleware.WithQuota("hourly", perHour(1e9))
	for _, tt := range []struct {
		name    string
		opts    []middleware.Option
		ceiling float64
	}{
		{"fields", nil, 2}, // the value of RateLimit, and the slice that holds it
		{"two quotas", []middleware.Option{hourly}, 2},
		{"no fields", []middleware.Option{middleware.WithoutFields()}, 0},
		{"telemetry without an SDK", []middleware.Option{middleware.WithoutFields(), middleware.WithTelemetry(otel.New())}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newQuota(t, perSecond(1e9), middleware.ByPeerIP, tt.opts...).Handler(answerOK)
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			w := quietWriter{}
			require.LessOrEqual(t, testing.AllocsPerRun(1000, func() {
				clear(w)
				h.ServeHTTP(w, r)
			}), tt.ceiling)
		})
	}
}

func TestPeerKeyAllocatesItsTextOnly(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for remote, ceiling := range map[string]float64{alice: 0, "[2001:db8::1]:80": 1} {
		r := peer(remote)
		require.LessOrEqual(t, testing.AllocsPerRun(1000, func() { middleware.ByPeerIP(r) }), ceiling)
	}
}

func BenchmarkQuota(b *testing.B) {
	for name, opts := range map[string][]middleware.Option{
		"fields":     nil,
		"no fields":  {middleware.WithoutFields()},
		"two quotas": {middleware.WithQuota("hourly", perHour(1e9))},
	} {
		h := newQuota(b, perSecond(1e9), middleware.ByPeerIP, opts...).Handler(answerOK)
		b.Run(name, func(b *testing.B) { serveQuota(b, h) })
	}
	b.Run("refused", func(b *testing.B) {
		h := newQuota(b, perHour(1), middleware.ByPeerIP).Handler(answerOK)
		serveQuota(b, h)
	})
	b.Run("parallel", func(b *testing.B) {
		h := newQuota(b, perSecond(1e9), middleware.ByPeerIP).Handler(answerOK)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			r, w := httptest.NewRequest(http.MethodGet, "/", http.NoBody), quietWriter{}
			for pb.Next() {
				clear(w)
				h.ServeHTTP(w, r)
			}
		})
	})
}

func serveQuota(b *testing.B, h http.Handler) {
	b.Helper()
	r, w := httptest.NewRequest(http.MethodGet, "/", http.NoBody), quietWriter{}
	b.ReportAllocs()
	for b.Loop() {
		clear(w)
		h.ServeHTTP(w, r)
	}
}

// BenchmarkQuotaNewKeys streams new keys through a quota that is full of others.
func BenchmarkQuotaNewKeys(b *testing.B) {
	q := newQuota(b, perHour(1), byPattern, middleware.WithoutFields())
	k := newKnocker(q)
	for key := range mostKeys {
		k.knock(key)
	}
	b.ReportAllocs()
	for key := mostKeys; b.Loop(); key++ {
		k.knock(key)
	}
}
