// Package pool gives health and lifetime rules to connections.
//
// # Connections of any kind
//
// A [Pool] lends what is dear to make: database sessions, SMB or SSH
// connections, file handles.
//
//	p, err := pool.New(pool.Funcs(dial, ping, hangUp), pool.Config{MaxSize: 20})
//	…
//	err = p.Do(ctx, func(ctx context.Context, c *Conn) error { … })
//
// The idle connection used last is lent first; those who wait are served in the
// order in which they came, a released connection going straight to the first. A
// connection that was unused for a second is checked before it is lent. None gets
// older than its lifetime, jittered so that they do not all leave together, by
// more than one use. MinIdle connections are kept ready, and are replaced at
// once.
//
// What the [Factory] does is never waited for under a lock, nor for longer than
// its time: a creation that hangs, a check that hangs and a Close that hangs give
// their place back. A connection being made belongs to no caller, so that one who
// leaves loses nothing; while none can be made, it is tried one at a time, with
// growing, jittered pauses: up to 5 s, but to no more than a quarter of AcquireTimeout
// where that is above 100 ms.
//
// A [Lease] is a value. One that is ended twice, or late, changes nothing and is
// counted.
//
// The pool does not repeat an operation on another connection: wrap Do in a
// [policy.Retry] where that is safe. It does not close connections that are in
// use, but for a [Pool.Close] whose time is up.
//
// # Transports of HTTP
//
// A [Transport] is an [net/http.RoundTripper] that is used alone, or as the base
// of a transport.Transport:
//
//	pt, err := pool.NewTransport(pool.DefaultTransport())
//	client := &http.Client{Transport: transport.New(pt, transport.Default())}
//	defer pt.Close()
//
// A request passes from the target that its URL names, by scheme, host and port,
// to one of the target's endpoints, and there to a connection:
//
//	target      the [Resolver] finds its addresses, again and again; answers that
//	            fail or are empty leave the last good ones in use. The [Balancer]
//	            chooses among the endpoints that are well, that have room, and
//	            that the call has not tried, as far as there are such
//	endpoint    MaxInFlight requests at a time, to the end of their bodies; others
//	            wait their turn. Ejected for failures in a row, for a success rate
//	            far below the others', or for probes that it does not answer
//	connection  left after MaxLifetime, or before the server closes it, without a
//	            request failing for it
//
// With [OutlierConfig] endpoints are judged by how requests to them end. A
// failure: a connection error, 500, 502, 504, 503 without Retry-After, a response
// body that died, a timeout of the kit, and a caller's deadline that passed
// before the headers, later than 100 ms and ten times the endpoint's usual time.
// Ignored: the caller's own cancel, a shorter deadline, 429, 503 with
// Retry-After, a local refusal, and what may be the caller's own fault, such as a
// request body that cannot be read. The only endpoint is never ejected, nor are
// more than MaxEjected of them; when fewer than PanicThreshold are left, health
// is not looked at.
//
// URL, Host, TLS server name and the response's Request stay what they are
// without a pool. Hosts that are IP addresses, and requests through a proxy, have
// one endpoint. What the resolver no longer names gets no more requests; those
// that it has finish, and those that wait for their turn there go elsewhere.
//
// A Transport repeats nothing. What does, tells it by a [policy.Avoid] in the
// context where a call has been.
//
// A target with one endpoint and no connection takes about 3 KiB. At most
// MaxTargets are kept, those without requests leaving first; what is beyond
// shares connections without limits or health.
package pool
