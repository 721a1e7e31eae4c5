// Package console measures what a mounted console takes of a core, beyond what
// an observer takes anyway, at 50,000 decisions a second:
//
//	go test -count=1 -v ./benchmarks/console
//
// The decisions are those of 50 keys in trouble: most are admissions, a fifth is
// refused, some wait. The figure is the processor time of the process (getrusage)
// less that of the same load without a console, so the load itself is not in it;
// with a viewer it has all that the viewer's stream takes, reading included.
//
// Without -v it takes a second.
package console
