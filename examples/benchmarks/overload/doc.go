// Package overload measures, over HTTP on the loopback, what is left of a server
// that gets more requests than it can serve, or whose resource has turned slow,
// behind the kit's Shed and behind its peers:
//
//	go test -count=1 -v ./benchmarks/overload
//
// That takes about 90 s; without -v it is a short part, of the kit alone.
//
// Requests arrive as an open loop (Poisson, seeds fixed) and wait for a second at
// most. The resource serves 8 at a time and needs 20 ms for each. Goodput is the
// requests answered with 200 within that second, as a share of what the resource
// could have done: its slots divided by the time that it did take, for timers are
// late on a busy machine. Every run has a server of its own, and is measured
// from a second and a half after it began, or after the resource turned slow.
package overload
