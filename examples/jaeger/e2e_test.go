//go:build linux

package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
)

// scene is a story as one of Jaeger's interfaces tells it.
type scene struct {
	told

	spans  spans
	asides map[string]span // by name
	exact  time.Duration   // by how much times may be off
}

// What each story's spans must show, beside what all must.
var theScenes = map[string]func(*testing.T, scene){
	"a retry that succeeds":             checkRetry,
	"a breaker that trips and recovers": checkBreaker,
	"a rate limit":                      checkRateLimit,
	"a shed request":                    checkShedding,
	"a pool rotation":                   checkRotation,
	"an endpoint ejection":              checkEjection,
}

func TestJaegerShowsWhatHappened(t *testing.T) {
	j := startJaeger(t)
	tel, err := newTelemetry(t.Context(), j.otlp)
	require.NoError(t, err)
	defer tel.close()
	for _, s := range theStories {
		t.Run(s.name, func(t *testing.T) {
			happened, err := tell(t.Context(), tel, s)
			require.NoError(t, err)
			require.Contains(t, theScenes, s.name)
			for _, a := range apis {
				t.Run(a.name, func(t *testing.T) {
					sc := scene{told: happened, spans: a.await(t, j, happened.trace, spansOf(t, tel, happened.trace)), asides: make(map[string]span), exact: a.exact}
					for _, aside := range happened.aside {
						found := a.await(t, j, aside.trace, spansOf(t, tel, aside.trace))
						require.Len(t, found, 1, "it is a trace of its own")
						require.NotContains(t, sc.asides, found[0].name)
						sc.asides[found[0].name] = found[0]
					}
					checkAll(t, sc)
					theScenes[s.name](t, sc)
				})
			}
		})
	}
}

func spansOf(t *testing.T, tel *telemetry, id trace.TraceID) int {
	t.Helper()
	n, err := tel.sent.arrived(id)
	require.NoError(t, err)
	require.Positive(t, n)
	return n
}

// Every printed link leads to a trace, and the search that is recommended finds
// it.
func TestPrintedLinksLeadToTheStories(t *testing.T) {
	j := startJaeger(t)
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, []string{"-otlp", j.otlp, "-ui", j.query + "/"}))
	lines := regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(j.query)+`/trace/([0-9a-f]{32})  (\S.*?): `).FindAllStringSubmatch(out.String(), -1)
	require.Len(t, lines, len(theStories), out.String())
	byStory := make(map[string]string)
	for i, line := range lines {
		require.Equal(t, theStories[i].name, line[2])
		byStory[line[2]] = line[1]
		id, err := trace.TraceIDFromHex(line[1])
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			return len(j.traceV1(t, id.String(), nil).named(customer, line[2])) == 1
		}, 20*time.Second, 20*time.Millisecond)
	}
	asides := regexp.MustCompile(`(?m)/trace/([0-9a-f]{32})    a trace of its own: magnetar\.pool\.(rotate removed|eject failures_in_a_row|rotate ejected)$`).FindAllString(out.String(), -1)
	require.Len(t, asides, 3, out.String())

	finds := func(search func() bool) {
		t.Helper()
		require.Eventually(t, search, 20*time.Second, 20*time.Millisecond)
	}
	finds(func() bool {
		return j.searchV1(t, orders, "magnetar.reason", "circuit_open")[byStory["a breaker that trips and recovers"]]
	})
	finds(func() bool {
		return j.searchV1(t, orders, "http.request.resend_count", "1")[byStory["a retry that succeeds"]]
	})
	finds(func() bool { return len(j.searchV1(t, orders, "magnetar.action", "eject")) == 1 })
	for _, id := range byStory {
		finds(func() bool { return j.searchV3(t, shop)[id] })
	}
}
