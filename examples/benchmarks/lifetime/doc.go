// Package lifetime measures what it costs to have no connection live long, and
// what it costs to meet a server that closes idle connections early:
//
//	go test -count=1 -v ./benchmarks/lifetime
//
// Requests of all kinds, back to back, for 3 s while connections may live for
// 100 ms, over HTTP/1.1, HTTP/1.1 with TLS, and HTTP/2: with [pool.Transport],
// with connections that are closed when their time is up, with
// [http.Transport.CloseIdleConnections] called as often, and with httplb's
// lifetime of round trippers. Then POSTs with pauses of 1 to 3 ms to a server
// with an IdleTimeout of 2 ms.
//
// Without -v it takes a second each.
package lifetime
