// Package benchmarks compares the kit with its peers in one run on one machine:
//
//	go test -bench . -benchmem ./benchmarks
//
// The benchmarks print what go test always prints; a table follows, in which
// each row is set against the first of its group. All clients stand on the same
// stub of a base RoundTripper, those of BenchmarkLoopback on a real
// http.Transport. The middlewares of BenchmarkInbound… stand around a handler
// that does nothing:
//
//	go test -bench Inbound -benchmem ./benchmarks
//
// BenchmarkPool… take a connection from a pool and give it back,
// BenchmarkConnections… make round trips through what manages connections:
//
//	go test -bench 'Pool|Connections' -benchmem ./benchmarks
//
// BenchmarkTelemetry… say what it costs to be seen, next to otelhttp with the same
// SDK:
//
//	go test -bench Telemetry -benchmem ./benchmarks
//
// What an outage costs is in the package outage beside this one, what is left of
// an overloaded server in overload, how clients and server of the kit get on with
// each other in medicine, and what the lifetime of connections costs in lifetime.
package benchmarks
