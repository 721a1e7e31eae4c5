//go:build linux

package main

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// settled is what clocks may be put right by between two spans.
const settled = 10 * time.Millisecond

func calls(s span) bool { return s.service == orders && s.name == "call GET" }
func tries(s span) bool { return s.service == orders && s.is("client") }

func checkRetry(t *testing.T, sc scene) {
	t.Helper()
	call := sc.spans.one(t, orders, "call GET")
	two := sc.spans.where(tries)
	require.Len(t, two, 2)
	first, second := two[0], two[1]
	require.Equal(t, http.StatusServiceUnavailable, first.status())
	require.Equal(t, http.StatusOK, second.status())
	require.Equal(t, call.id, first.parent)
	require.Equal(t, call.id, second.parent)
	require.Equal(t, []string{first.id, sc.spans.under(first).where(isServer)[0].id}, ids(sc.spans.failed()),
		"nobody saw the failure but the try that was repeated")

	wait := sc.spans.one(t, orders, "magnetar.retry.wait")
	require.Equal(t, "status", wait.reason())
	before(t, first, wait, sc.exact)
	before(t, wait, second, sc.exact)
	require.GreaterOrEqual(t, wait.took+sc.exact, wait.seconds("magnetar.retry_after"), "it waited for as long as was planned")
	visits := sc.town.journal.answered()
	require.Len(t, visits, 2)
	require.LessOrEqual(t, wait.took, visits[1].began.Sub(visits[0].ended)+sc.exact, "and for no longer than stock heard nothing")
	require.LessOrEqual(t, first.took+wait.took+second.took, call.took+3*sc.exact)
	require.NotEqual(t, visits[0].header["Traceparent"], visits[1].header["Traceparent"], "each is a child of its own try")
}

func checkBreaker(t *testing.T, sc scene) {
	t.Helper()
	all := sc.spans.where(calls)
	require.Len(t, all, threshold+2)
	attempts := sc.spans.where(tries)
	require.Len(t, attempts, threshold+1)
	tripping := attempts[threshold-1]

	opened := sc.spans.one(t, orders, "magnetar.breaker.open")
	require.Equal(t, "failures_in_a_row", opened.reason())
	require.Equal(t, threshold, opened.number("magnetar.failures"))
	require.Equal(t, tripping.id, opened.parent, "it is told where it happened")

	refused := sc.spans.one(t, orders, "magnetar.breaker.refuse")
	require.Equal(t, "circuit_open", refused.reason())
	require.Equal(t, all[threshold].id, refused.parent)
	require.Equal(t, "circuit_open", all[threshold].attributes["error.type"])
	require.Empty(t, sc.spans.under(all[threshold]).where(tries), "nothing was sent")
	require.Positive(t, refused.seconds("magnetar.retry_after"))

	trial := all[threshold+1]
	halfOpened, closed := sc.spans.one(t, orders, "magnetar.breaker.half_open"), sc.spans.one(t, orders, "magnetar.breaker.close")
	require.Equal(t, "cooldown_over", halfOpened.reason())
	require.Equal(t, "trials_succeeded", closed.reason())
	require.Equal(t, trial.id, halfOpened.parent)
	require.Equal(t, attempts[threshold].id, closed.parent)
	shortest := breakerPlot.toStock.Breaker.Cooldown * 9 / 10
	require.GreaterOrEqual(t, halfOpened.began.Sub(opened.began)+settled, shortest, "not before its cooldown")

	admitted := sc.spans.named(orders, "magnetar.breaker.admit")
	require.Len(t, admitted, threshold+1)
	require.Equal(t, "cooldown_over", admitted[threshold].reason())
	require.False(t, admitted[threshold].began.Before(halfOpened.began), "the trial is admitted because it half-opened")
	for _, s := range []span{refused, admitted[threshold], halfOpened, closed} {
		require.Equalf(t, []ref{tripping.ref()}, s.links, "%v leads to what tripped it", s)
	}
	require.Len(t, sc.spans.where(func(s span) bool { return len(s.links) > 0 }), 4)

	for i, call := range all {
		require.Equal(t, i <= threshold, call.failed)
	}
}

func checkRateLimit(t *testing.T, sc scene) {
	t.Helper()
	all := sc.spans.where(calls)
	require.Len(t, all, items)
	require.Empty(t, sc.spans.failed())
	served := sc.spans.one(t, orders, "GET /orders/{items}")
	waits := 0
	for _, call := range all {
		parts := sc.spans.under(call)
		try := parts.where(tries)[0]
		parts.one(t, orders, "magnetar.rate_limit.admit")
		for _, wait := range parts.named(orders, "magnetar.rate_limit.wait") {
			waits++
			require.Empty(t, wait.reason(), "its action says all")
			before(t, wait, try, sc.exact)
			require.LessOrEqual(t, wait.took+try.took, call.took+2*sc.exact)
		}
	}
	require.Positive(t, waits, "so many cannot all come in turn by chance")
	visits := sc.town.journal.answered()
	slices.SortFunc(visits, func(a, b visit) int { return a.began.Compare(b.began) })
	for i, v := range visits {
		require.GreaterOrEqual(t, v.began.Sub(served.began)+settled, time.Duration(i)*spaced, "visit %d", i+1)
	}
	last := sc.spans.named(orders, "magnetar.rate_limit.wait")
	require.LessOrEqual(t, sc.town.journal.longest("rate_limit", "wait"), longest(last)+sc.exact, "the wait is drawn as long as it was")
}

func checkShedding(t *testing.T, sc scene) {
	t.Helper()
	refused := sc.spans.one(t, orders, "magnetar.shed.refuse")
	require.Equal(t, "limit_reached", refused.reason())
	require.Equal(t, "/orders/{items}", refused.attributes["http.route"])
	require.Equal(t, 1, refused.number("magnetar.limit"))
	byID := sc.spans.byID()
	served := byID[refused.parent]
	require.Equal(t, http.StatusServiceUnavailable, served.status())
	require.Equal(t, spans{refused}, sc.spans.under(served), "it is all that happened there")

	var failed []string // all the way up to the customer, who began the trace
	for s := served; s.parent != ""; s = byID[s.parent] {
		failed = append(failed, s.id)
	}
	require.Len(t, failed, 6)
	require.ElementsMatch(t, failed, ids(sc.spans.failed()), "the order that orders was busy with is well")

	admitted := sc.spans.one(t, orders, "magnetar.shed.admit")
	within(t, refused, byID[admitted.parent], sc.exact)
	require.Len(t, sc.town.journal.answered(), 1)
}

func checkRotation(t *testing.T, sc scene) {
	t.Helper()
	require.Empty(t, sc.spans.failed())
	require.Len(t, sc.asides, 1)
	rotated := sc.asides["magnetar.pool.rotate"]
	require.Equal(t, "removed", rotated.reason())
	checkAside(t, sc, rotated, sc.town.stocks[0])
	cause := sc.spans.byID()[rotated.links[0].span]
	require.False(t, rotated.began.Before(cause.began.Add(-sc.exact)))
	require.Equal(t, 1, sc.town.journal.visitors(1))
}

func checkEjection(t *testing.T, sc scene) {
	t.Helper()
	require.Len(t, sc.asides, 2)
	ejected, rotated := sc.asides["magnetar.pool.eject"], sc.asides["magnetar.pool.rotate"]
	require.Equal(t, "failures_in_a_row", ejected.reason())
	require.Equal(t, 2, ejected.number("magnetar.failures"))
	require.Positive(t, ejected.seconds("magnetar.retry_after"))
	require.Equal(t, "ejected", rotated.reason())
	checkAside(t, sc, ejected, sc.town.stocks[0])
	checkAside(t, sc, rotated, sc.town.stocks[0])

	cause := sc.spans.byID()[ejected.links[0].span]
	require.Equal(t, ejected.links, rotated.links)
	require.Equal(t, http.StatusInternalServerError, cause.status())
	bad := sc.spans.where(func(s span) bool { return tries(s) && s.failed })
	require.Len(t, bad, 2)
	require.Equal(t, bad[1].id, cause.id, "it was the last straw")
	require.Len(t, sc.spans.failed(), 4, "the two tries and what served them, and no call")
	require.Equal(t, 2, sc.town.journal.visitors(0))
}

// checkAside: a decision in the background is a root, linked to the try of
// orders that led to it.
func checkAside(t *testing.T, sc scene, s span, endpoint string) {
	t.Helper()
	require.Equal(t, orders, s.service)
	require.NotEqual(t, sc.trace.String(), s.trace)
	require.Empty(t, s.parent)
	require.False(t, s.failed)
	require.Empty(t, s.warnings)
	require.Equal(t, endpoint, s.attributes["magnetar.endpoint"])
	require.Equal(t, "http://stock.test:80", s.attributes["magnetar.key"])
	require.Len(t, s.links, 1)
	require.Equal(t, sc.trace.String(), s.links[0].trace)
	cause, ok := sc.spans.byID()[s.links[0].span]
	require.True(t, ok)
	require.True(t, tries(cause), "%v", cause)
}

func isServer(s span) bool { return s.is("server") }

func ids(all spans) []string {
	var ids []string
	for _, s := range all {
		ids = append(ids, s.id)
	}
	return ids
}

func longest(all spans) time.Duration {
	var most time.Duration
	for _, s := range all {
		most = max(most, s.took)
	}
	return most
}
