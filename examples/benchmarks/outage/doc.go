// Package outage measures, in virtual time, what an outage of a peer costs and
// how fast it is over, with the kit and with its peers:
//
//	go test -v ./benchmarks/outage
//
// Calls arrive as an open loop (Poisson, seeds fixed) on one key. The peer is
// well for 10 s, out for about 3 s, and well again. A second table shows a peer that
// fails a share of the tries for 30 s.
package outage
