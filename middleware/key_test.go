package middleware_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	chi "github.com/go-chi/chi/v5/middleware"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

func peer(remote string) *http.Request {
	return &http.Request{RemoteAddr: remote, Header: http.Header{}}
}

func TestByPeerIP(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:1234":                     "192.0.2.1",
		"192.0.2.1":                          "192.0.2.1",
		"192.0.2.1:":                         "192.0.2.1",
		"[::ffff:192.0.2.1]:1234":            "192.0.2.1",
		"::ffff:192.0.2.1":                   "192.0.2.1",
		"[::ffff:192.0.2.1%eth0]:1":          "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:443":         "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::]:443":          "2001:db8:1:2::/64",
		"2001:db8:1:2::9":                    "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1":                   "fe80::/64",
		"[fe80::2%a-zone-of-some-length]:22": "fe80::/64",
		"[::1]:80":                           "::/64",
		"":                                   "",
		"@":                                  "",
		"pipe":                               "",
		"/run/app.sock":                      "",
		":80":                                "",
		"[]:80":                              "",
		"[":                                  "",
		"localhost:80":                       "",
		"192.0.2.01:80":                      "",
		"192.0.2.256:80":                     "",
		"192.0.2.1, 10.0.0.1":                "",
		"1:2:3":                              "",
		strings.Repeat("9", 1<<16):           "",
	} {
		require.Equal(t, want, middleware.ByPeerIP(peer(remote)), "%.80q", remote)
	}
}

func TestByPeerIPPrefix(t *testing.T) {
	key := middleware.ByPeerIPPrefix(24, 48)
	require.Equal(t, "192.0.2.0/24", key(peer("192.0.2.77:1")))
	require.Equal(t, "192.0.2.0/24", key(peer("[::ffff:192.0.2.78]:1")))
	require.Equal(t, "2001:db8:1::/48", key(peer("[2001:db8:1:2::3]:1")))
	require.Equal(t, "2001:db8::3", middleware.ByPeerIPPrefix(32, 128)(peer("[2001:db8::3%z]:1")))
	for _, bits := range [][2]int{{0, 64}, {33, 64}, {32, 0}, {32, 129}, {-1, -1}} {
		require.Panics(t, func() { middleware.ByPeerIPPrefix(bits[0], bits[1]) }, "%v", bits)
	}
}

func TestByHeaderTakesTheFirstValue(t *testing.T) {
	key := middleware.ByHeader("x-tenant")
	r := peer(alice)
	require.Empty(t, key(r))
	r.Header.Add("X-Tenant", "acme")
	r.Header.Add("X-Tenant", "other")
	require.Equal(t, "acme", key(r))
}

// Inbound trap 13: what a client writes into forwarding fields, and how it
// writes its address, gives it no second quota.
func TestQuotaIsNotFooledByForwardingFields(t *testing.T) {
	trustedProxy := chi.ClientIPFromXFF("192.0.2.0/24")
	for _, tt := range []struct {
		name   string
		key    middleware.KeyFunc
		mount  func(http.Handler) http.Handler
		change func(i int, r *http.Request)
	}{
		{"left end of X-Forwarded-For", middleware.ByClientIP, trustedProxy, func(i int, r *http.Request) {
			r.Header.Set("X-Forwarded-For", randomIPv4()+", 203.0.113.9")
		}},
		{"X-Forwarded-For in several fields", middleware.ByClientIP, trustedProxy, func(i int, r *http.Request) {
			r.Header["X-Forwarded-For"] = []string{randomIPv4(), randomIPv4() + ",203.0.113.9"}
		}},
		{"X-Forwarded-For from no proxy", middleware.ByClientIP, trustedProxy, func(i int, r *http.Request) {
			r.RemoteAddr = "203.0.113.9:1"
			r.Header.Set("X-Forwarded-For", randomIPv4())
		}},
		{"mapped addresses", middleware.ByClientIP, trustedProxy, func(i int, r *http.Request) {
			r.Header.Set("X-Forwarded-For", []string{"203.0.113.9", "::ffff:203.0.113.9", "::ffff:cb00:7109"}[i%3])
		}},
		{"a /64 of addresses", middleware.ByClientIP, trustedProxy, func(i int, r *http.Request) {
			r.Header.Set("X-Forwarded-For", fmt.Sprintf("2001:db8::%x", 1+i))
		}},
		{"zones", middleware.ByClientIP, chi.ClientIPFromRemoteAddr, func(i int, r *http.Request) {
			r.RemoteAddr = fmt.Sprintf("[fe80::1%%eth%d]:1", i)
		}},
		{"all fields, by peer", middleware.ByPeerIP, nil, func(i int, r *http.Request) {
			for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip"} {
				r.Header.Set(name, randomIPv4())
			}
			r.Header.Set("Forwarded", "for="+randomIPv4())
		}},
		{"a /64 of peers", middleware.ByPeerIP, nil, func(i int, r *http.Request) {
			r.RemoteAddr = fmt.Sprintf("[2001:db8::%x:%x]:1", i, 1+i)
		}},
		{"garbage in the chain", middleware.ByClientIP, trustedProxy, func(i int, r *http.Request) {
			r.Header.Set("X-Forwarded-For", fmt.Sprintf("%d.%d.garbage", i, i))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := newQuota(t, perHour(3), tt.key)
			h := q.Handler(answerOK)
			if tt.mount != nil {
				h = tt.mount(h)
			}
			for i := range 10_000 {
				r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
				r.RemoteAddr = alice
				tt.change(i, r)
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
			require.Equal(t, 1, q.Stats().Keys)
			require.EqualValues(t, 3, q.Stats().Admitted)
		})
	}
}

func randomIPv4() string {
	n := rand.Uint32()
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}).String()
}

// Inbound trap 14: without a key a request is counted by its peer, never
// together with all others.
func TestQuotaCountsRequestsWithoutKeyByTheirPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(t, perHour(2), middleware.ByHeader("X-Tenant"))
		h := q.Handler(answerOK)
		require.Equal(t, 2, admittedOf(h, 5, alice))
		require.Equal(t, 2, admittedOf(h, 5, bob))
		require.EqualValues(t, 10, q.Stats().EmptyKeys)

		for _, key := range []string{"192.0.2.1", "peer:192.0.2.1"} {
			w := askFrom(h, bob, withHeader("X-Tenant", key))
			require.Equal(t, http.StatusOK, w.Code, "a key is not an address, whatever it looks like")
		}
		w := askFrom(h, "@")
		require.Equal(t, http.StatusTooManyRequests, w.Code, "not even an address is known")
		require.Empty(t, w.Header().Get("Retry-After"))
	})
}

// Inbound trap 14: or it is refused.
func TestQuotaRefusesRequestsWithoutKeyWhenOneIsRequired(t *testing.T) {
	var told []policy.Decision
	q := newQuota(t, perHour(2), middleware.ByHeader("X-Tenant"), middleware.WithKeyRequired(), recordQuota(&told))
	h := q.Handler(answerOK)
	w := askFrom(h, alice)
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.Empty(t, w.Header().Get("Retry-After"))
	require.Equal(t, policy.ReasonEmptyKey, told[0].Reason)
	require.EqualValues(t, 1, q.Stats().EmptyKeys)
	require.Equal(t, http.StatusOK, askFrom(h, alice, withHeader("X-Tenant", "acme")).Code)
}

// Inbound trap 16: keys are of bounded length, whatever a client sends.
func TestQuotaHashesLongKeys(t *testing.T) {
	var told []policy.Decision
	h := newQuota(t, perHour(1), middleware.ByHeader("X-Tenant"), recordQuota(&told)).Handler(answerOK)
	long := strings.Repeat("x", 1<<16)
	require.Equal(t, http.StatusOK, askFrom(h, alice, withHeader("X-Tenant", long)).Code)
	require.Equal(t, http.StatusOK, askFrom(h, alice, withHeader("X-Tenant", long+"y")).Code)
	require.Equal(t, http.StatusTooManyRequests, askFrom(h, alice, withHeader("X-Tenant", long)).Code)
	require.Equal(t, http.StatusOK, askFrom(h, alice, withHeader("X-Tenant", told[0].Key)).Code, "nobody has a hash for a key")
	for _, d := range told {
		require.LessOrEqual(t, len(d.Key), 64)
	}
}

func FuzzByPeerIP(f *testing.F) {
	for _, s := range []string{alice, "[2001:db8::1]:80", "[fe80::1%eth0]:1", "::ffff:192.0.2.1", "@", "[", "]:", "[]:1", "%", "1:2:3", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, remote string) {
		key := middleware.ByPeerIP(peer(remote))
		if key == "" {
			return
		}
		require.LessOrEqual(t, len(key), 64)
		addr, err := netip.ParseAddr(key)
		if err != nil {
			prefix, err := netip.ParsePrefix(key)
			require.NoError(t, err)
			require.Equal(t, 64, prefix.Bits())
			require.Equal(t, prefix.Masked(), prefix)
			addr = prefix.Addr()
		} else {
			require.True(t, addr.Is4())
			require.Equal(t, key, addr.String(), "one way to write it")
		}
		require.Empty(t, addr.Zone())
		require.False(t, addr.Is4In6())
	})
}

func FuzzQuotaKey(f *testing.F) {
	for _, s := range []string{"acme", "", "peer:192.0.2.1", "sha256:00", strings.Repeat("k", 65), "\x00\xff"} {
		f.Add(s)
	}
	var told []policy.Decision
	q := newQuota(f, perHour(1), func(r *http.Request) string { return r.Header.Get("K") }, recordQuota(&told))
	h := q.Handler(answerOK)
	f.Fuzz(func(t *testing.T, key string) {
		told = told[:0]
		askFrom(h, alice, withHeader("K", key))
		require.Len(t, told, 1)
		require.LessOrEqual(t, len(told[0].Key), 64)
		require.NotEmpty(t, told[0].Key)
	})
}
