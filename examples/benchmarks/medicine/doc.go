// Package medicine has the kit take its own medicine, in virtual time: 50
// clients with transport.Default() call a server behind middleware.Shed.
//
//	go test -v ./benchmarks/medicine
//
// Calls arrive as an open loop (Poisson, seeds fixed), each at one of the
// clients. The load offered is that of the users' calls, as a multiple of what
// the server can do; the clients' retries come on top, and what a client holds
// back never reaches the server. Goodput is the calls answered with 200.
package medicine
