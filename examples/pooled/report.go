package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
	"github.com/magnetar-go/magnetar/policy"
)

// result is what came of the plan.
type result struct {
	fleet  *fleet
	load   *load
	events *events
}

// inFlight reports whether a call failed that nobody could have saved: it was on
// the server when that was killed, and may not be sent twice.
func (r *result) inFlight(f failure) bool {
	after := f.at.Sub(r.fleet.killed)
	return f.method == http.MethodPost && f.server == r.fleet.servers[mortal].address && after > 0 && after < time.Second
}

// broken are the failures that should not be.
func (r *result) broken() []failure {
	return slices.DeleteFunc(slices.Clone(r.load.failures()), r.inFlight)
}

// returned reports whether a server was ejected, and gets requests again.
func (r *result) returned(s *server) bool {
	var last policy.Action
	for _, e := range r.events.all() {
		if e.Endpoint == s.address && (e.Action == policy.ActionEject || e.Action == policy.ActionReturn) {
			last = e.Action
		}
	}
	return last == policy.ActionReturn && r.events.count(policy.ActionEject, s.address) > 0
}

type promise struct {
	text string
	kept bool
}

func (r *result) promises() []promise {
	ill, left, dead := r.fleet.servers[ailing], r.fleet.servers[leaving], r.fleet.servers[mortal]
	return []promise{
		{"no call failed but POSTs that were on " + dead.name() + " when it was killed", len(r.broken()) == 0},
		{ill.name() + " was ejected, and returned", r.returned(ill)},
		{dead.name() + " was ejected, and returned", r.returned(dead)},
		{left.name() + " had no connection left when it was back in DNS", r.fleet.stayed == 0},
	}
}

func (r *result) kept() bool {
	return !slices.ContainsFunc(r.promises(), func(p promise) bool { return !p.kept })
}

// String is for a person to read at a glance.
func (r *result) String() string {
	var b strings.Builder
	b.WriteString("\n")
	r.writeServers(&b)
	failed := r.load.failures()
	calls := int(r.load.answered.Load()) + len(failed)
	tries := sum(r.load.counts(r.fleet))
	fmt.Fprintf(&b, "\n%d calls by %d tries: %d failed, %d of them POSTs in flight on the server that was killed.\n",
		calls, tries, len(failed), len(failed)-len(r.broken()))
	for _, f := range r.broken() {
		fmt.Fprintf(&b, "  %s on %s: %v\n", f.method, f.server, f.err)
	}
	fmt.Fprintf(&b, "The last connection to %s ended %s after it had left DNS.\n",
		r.fleet.servers[leaving].name(), demo.Milliseconds(r.fleet.drained))
	fmt.Fprintf(&b, "%d ejections, %d rotations; connections that left, by reason: %s.\n",
		r.events.count(policy.ActionEject, ""), r.events.count(policy.ActionRotate, ""), r.events.retirements())
	for _, e := range r.events.all() {
		fmt.Fprintf(&b, "  %v\n", e)
	}
	b.WriteString("\n")
	for _, p := range r.promises() {
		fmt.Fprintf(&b, "%-70s %s\n", p.text+":", map[bool]string{true: "kept", false: "broken"}[p.kept])
	}
	return b.String()
}

func (r *result) writeServers(b *strings.Builder) {
	tries := r.load.counts(r.fleet)
	fmt.Fprintf(b, "%-11s %-9s %7s %8s %12s %10s\n", "server", "speaks", "tries", "", "connections", "ejections")
	for i, s := range r.fleet.servers {
		fmt.Fprintf(b, "%-11s %-9s %7d %6.1f %% %12d %10d\n", s.ip(), s.protocol, tries[i],
			100*demo.Share(int(tries[i]), int(sum(tries))), s.accepted.Load(), r.events.count(policy.ActionEject, s.address))
	}
}
