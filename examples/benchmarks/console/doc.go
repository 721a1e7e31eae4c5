// Package console measures what a mounted console takes of a core, beyond what
// an observer takes anyway, at 50,000 decisions a second:
//
//	go test -count=1 -v ./benchmarks/console
//
// The decisions are those of many keys in trouble: most are admissions, a fifth
// are refusals, a fifth waits, and of every five one is a try with its result.
// The figure is the processor time of the process (getrusage) less that of the
// same load with an observer alone, in the median of several rounds in which the
// rows take turns. With a viewer there is also a transport to look at that has
// all the keys, and the figure has all that the viewer's stream takes, reading
// included.
//
// Without -v there is one short round.
package console
