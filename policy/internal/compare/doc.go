// Package compare judges adaptive concurrency limits, the kit's and its peers',
// in virtual time: open-loop arrivals meet a service of known capacity behind
// each of them, and what is answered in time is counted.
//
//	go -C policy/internal/compare test -run Comparison -v -count=1 -timeout 30m .
//
// prints every contender in every scenario, of several runs the worst and the
// median. After the dot, -scenarios=tuning takes the scenarios that a limit may
// be tuned on instead of those that are reported; -only and -match keep the
// contenders and the scenarios whose names contain one of the given words,
// separated by commas; -seeds says how often each runs; -brief leaves out all
// tables but that of goodput. -short keeps a few scenarios, and one run of each.
//
// Arrivals are a Poisson process, one goroutine each; all that is random about a
// call is drawn when it arrives, so that every contender meets the same calls.
// Goodput is what was answered in time of what could have been: all calls that
// an idle service would have answered in time, or as many of them as there is
// capacity for.
//
// A module of its own keeps the peers out of the kit's go.mod.
package compare
