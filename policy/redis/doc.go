// Package redislimit counts limits in Redis, so that all processes of a service
// share them: a quota of each client, and what is sent to a peer that has a quota
// of its own.
//
//	client := redis.NewClient(&redis.Options{Addr: "redis:6379", DialerRetries: 1, ContextTimeoutEnabled: true})
//	store, err := redislimit.NewStore(client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 4})
//
//	r.Use(shed.RateLimit(policy.RateLimiterConfig{Limit: 100}, shed.ByPeerIP, shed.WithName("api"), shed.WithStore(store)))
//
//	limiter, err := redislimit.NewLimiter(store, "payments", policy.RateLimiterConfig{Limit: 100})
//	client := &http.Client{Transport: transport.New(nil, transport.Default(), transport.WithRateLimit(limiter.ForKey))}
//
// By [Limiter.ForKey] each host that is called has the limit for itself; with
// transport.WithGate(limiter) all of them have it together. A try takes one unit, or
// what [ContextWithWeight] says.
//
// The package is called redislimit, not redis as its folder, for who imports it
// imports go-redis too, which is called redis.
//
// # In Redis
//
// A key takes one hash, called by the prefix and 22 characters of the key's
// SHA-256: however long keys are, and whatever is in them, Redis sees neither. In
// it each limit has a field with the instant at which it is unused again, see
// [policy.StoreLimit]; that of a Limiter also with the time until then, as it was
// when that was stored. The field of a quota is its name, and that of a Limiter its
// name in double quotes, which no quota has: they may be called the same. The hash is
// gone a few milliseconds after the last of those instants. One script ([Script]) does
// a check and its charge in one step, by the
// clock of the Redis server alone. All it touches is that one key, so that a
// cluster serves as well as a single server. It needs Redis 5, or what speaks its
// language: EVALSHA, TIME, HMGET, HSET, PTTL, PEXPIRE.
//
// If the clock of the server steps back, or a replica with another clock takes
// over, what is stored lies too far ahead. It is then cut to what could have been
// used, and stored anew, so that nobody is locked out for longer than a full
// bucket takes to fill; for a Limiter, for longer than its queue was when it was
// stored. If it leaps ahead, what was used is forgiven. A value that is no number, or
// a queue of over a year, counts as a bucket that was just emptied. A bucket that takes
// more than 142 years to fill holds as much as comes back in that time, and so does its
// share in a process, which takes as many times longer as there are.
//
// Redis replicates later than it answers: a replica that is promoted may not know
// what was taken last, and that is admitted once more.
//
// # On the way there
//
// Calls that come while others are on their way are sent together: no call waits
// for company, and none for more than the round trip before it, as long as no more
// than four times [Config.Batch] are under way. What a context of calls carries, such
// as a trace, go-redis sees of the first of them. Nothing is sent twice where units may
// be taken twice, whatever MaxRetries the client has; a cluster's client still follows
// MOVED. With DialerRetries of 1 a server that is gone is known to be so at once.
// ContextTimeoutEnabled lets a connection that hangs go as early as the caller; without
// it, it is held until ReadTimeout.
//
// # Without Redis
//
// A trip to Redis takes no longer than [Config.Timeout]; then a circuit breaker opens,
// those who wait are told at once, and those who come later do not wait. A call waits
// for twice as long at most, where its trip cannot begin at once, and no longer than
// until shortly before the deadline of its context. While the breaker is open, calls
// that ask let a probe be sent now and then, of which none of them waits for the end.
// After a host that went without a word, each connection of old that go-redis still has
// may cost one. What becomes of the calls says [Config.OnFailure]:
//
//	Open    Take: the error. A quota lets the request pass (but see its WithFailClosed). A Limiter admits.
//	Closed  Take and Limiter: a refusal, an *policy.Error of policy.ReasonStore. A quota answers 503.
//	Local   each process limits by itself, to its share of the limit
//
// A process that limits by itself goes on from how the limit stood, and tells Redis
// with its next call of the key what it has let pass, less what has come back since:
// that is added to what Redis knows. So however unevenly the calls are spread, a fleet
// has used after an outage what it has used, and a limit holds through outages, but
// for the moments when some know that Redis is gone or back, or have told it, and others
// have not: at most a burst, and the limit for as long as that takes; of a Limiter also
// those who have their turns by then, in Redis and in the processes. What is over is
// made up for afterwards. What weighs more than the share of a process waits for a full
// bucket, and leaves it in debt; and the share of a process is at least one unit, be
// there more processes than units.
//
// Redis takes no more than the bucket holds, and for a Limiter, than its callers may
// wait for. The rest is told when there is room: until then nobody passes. Of a quota
// that is another bucket at most, what is more is forgiven. One call tells at a time; if
// it has no answer in time, Redis may have learnt of it, and learns of it once more. It may
// likewise have counted calls that it did not answer in time, and that were counted
// here. That errs on the safe side.
//
// For that a process remembers 65,536 keys, in about 250 bytes each, and 100 more for
// each further limit of a key. Those over it share 256 places, by which they may be
// refused for each other, and what they use meanwhile Redis does not learn.
//
// Everybody who looks can see it. The breaker's transitions are decisions of
// [policy.PolicyBreaker], under the name of the store; so magnetar.breaker.open
// tells it as a metric. Each call that goes on without Redis is a decision with
// [policy.ReasonStore]: of the quota where that decides, of the Limiter likewise,
// and of the store when it is Local. The console shows the breaker.
//
// No text of an error has an address in it, for errors reach clients. What
// go-redis said is behind errors.Unwrap.
package redislimit
