package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

// inHandler returns the request as a handler behind mw gets it.
func inHandler(mw func(http.Handler) http.Handler, r *http.Request) (got *http.Request) {
	mw(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r })).ServeHTTP(httptest.NewRecorder(), r)
	return got
}

func from(remote string, values ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = remote
	r.Header["X-Priority"] = values
	return r
}

// Inbound trap 12.
func TestPriorityHeaderCountsOnlyFromTrustedPeersAndInKnownWords(t *testing.T) {
	low := middleware.WithPriority(func(*http.Request) policy.Priority { return policy.Low })
	peers := middleware.WithTrustedPeers(
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"),
		netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("::ffff:172.16.0.0/108"),
	)
	for _, tt := range []struct {
		name   string
		remote string
		values []string
		opts   []middleware.Option
		want   policy.Priority
	}{
		{"trusted", "10.1.2.3:80", []string{"critical"}, []middleware.Option{peers}, policy.Critical},
		{"any case", "10.1.2.3:80", []string{"BulK"}, []middleware.Option{peers}, policy.Bulk},
		{"normal is a word", "10.1.2.3:80", []string{"normal"}, []middleware.Option{peers}, policy.Normal},
		{"IPv6", "[fd00::1]:80", []string{"critical"}, []middleware.Option{peers}, policy.Critical},
		{"IPv4 in IPv6", "[::ffff:10.1.2.3]:80", []string{"critical"}, []middleware.Option{peers}, policy.Critical},
		{"prefix of IPv4 in IPv6", "172.20.0.1:80", []string{"critical"}, []middleware.Option{peers}, policy.Critical},
		{"zone", "[fe80::1%eth0]:80", []string{"critical"}, []middleware.Option{peers}, policy.Critical},
		{"by function", "@", []string{"critical"}, []middleware.Option{everybody}, policy.Critical},
		{"nobody is trusted by default", "127.0.0.1:80", []string{"critical"}, nil, policy.Low},
		{"untrusted", "192.0.2.1:80", []string{"critical"}, []middleware.Option{peers}, policy.Low},
		{"no address", "@", []string{"critical"}, []middleware.Option{peers}, policy.Low},
		{"empty address", "", []string{"critical"}, []middleware.Option{peers}, policy.Low},
		{"number", "10.1.2.3:80", []string{"100000"}, []middleware.Option{peers}, policy.Low},
		{"small number", "10.1.2.3:80", []string{"1"}, []middleware.Option{peers}, policy.Low},
		{"empty", "10.1.2.3:80", []string{""}, []middleware.Option{peers}, policy.Low},
		{"garbage", "10.1.2.3:80", []string{"\x00critical"}, []middleware.Option{peers}, policy.Low},
		{"list", "10.1.2.3:80", []string{"critical, critical"}, []middleware.Option{peers}, policy.Low},
		{"several", "10.1.2.3:80", []string{"critical", "critical"}, []middleware.Option{peers}, policy.Low},
		{"none", "10.1.2.3:80", nil, []middleware.Option{peers}, policy.Low},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mw := middleware.Priority(append(tt.opts, low, middleware.WithPriorityHeader("x-priority"))...)
			got := inHandler(mw, from(tt.remote, tt.values...))
			require.Equal(t, tt.want, policy.PriorityFromContext(got.Context()))
		})
	}
}

// Inbound trap 12.
func TestHeadersThatWereNotChosenSayNothing(t *testing.T) {
	r := from("10.1.2.3:80", "critical")
	r.Header.Set("Priority", "u=0")
	r.Header.Set("X-Failsafe-Level", "100000")
	require.Same(t, r, inHandler(middleware.Priority(everybody), r))
}

func TestPriorityOutOfRangeIsClamped(t *testing.T) {
	mw := middleware.Priority(middleware.WithPriority(func(*http.Request) policy.Priority { return 100 }))
	got := inHandler(mw, from("10.1.2.3:80"))
	require.Equal(t, policy.Critical, policy.PriorityFromContext(got.Context()))
}

func TestPriorityOnTheContextStaysWhereNothingElseIsSaid(t *testing.T) {
	r := from("10.1.2.3:80")
	r = r.WithContext(policy.ContextWithPriority(r.Context(), policy.Bulk))
	got := inHandler(middleware.Priority(everybody, middleware.WithPriorityHeader("X-Priority"),
		middleware.WithCohort(func(*http.Request) string { return "alice" })), r)
	require.Equal(t, policy.Bulk, policy.PriorityFromContext(got.Context()))
}

func TestCohortIsTheSameHashEverywhere(t *testing.T) {
	cohort := func(name string) (uint64, bool) {
		mw := middleware.Priority(middleware.WithCohort(func(*http.Request) string { return name }))
		return policy.CohortFromContext(inHandler(mw, from("10.1.2.3:80")).Context())
	}
	got, ok := cohort("foobar")
	require.True(t, ok)
	require.Equal(t, uint64(0x85944171f73967e8), got) // a test vector of FNV-1a
	_, ok = cohort("")
	require.False(t, ok)
}

func TestStandingAllocatesLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	critical := middleware.WithPriority(func(*http.Request) policy.Priority { return policy.Critical })
	header := middleware.WithPriorityHeader("X-Priority")
	cohort := middleware.WithCohort(func(r *http.Request) string { return r.URL.Path })
	trusted := middleware.WithTrustedPeers(netip.MustParsePrefix("10.0.0.0/8"))
	r, w := from("10.1.2.3:80", "LOW"), httptest.NewRecorder()
	for _, tt := range []struct {
		name    string
		opts    []middleware.Option
		ceiling float64
	}{
		{"nothing", nil, 0},
		{"priority", []middleware.Option{critical}, 2},
		{"header", []middleware.Option{header, trusted}, 2},
		{"all", []middleware.Option{critical, header, trusted, cohort}, 2},
	} {
		h := middleware.Priority(tt.opts...)(http.HandlerFunc(ok))
		require.LessOrEqual(t, testing.AllocsPerRun(500, func() { h.ServeHTTP(w, r) }), tt.ceiling, tt.name)
	}
}

func BenchmarkPriority(b *testing.B) {
	h := middleware.Priority(middleware.WithPriorityHeader("X-Priority"), middleware.WithTrustedPeers(netip.MustParsePrefix("10.0.0.0/8")),
		middleware.WithCohort(func(r *http.Request) string { return r.RemoteAddr }))(http.HandlerFunc(ok))
	r, w := from("10.1.2.3:80", "low"), httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
