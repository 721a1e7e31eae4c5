// Package middleware keeps a server answering as much as it can, whatever
// arrives: too many requests, slow resources, clients that vanish, stall or
// claim more than their share.
//
//	import shed "github.com/magnetar-go/magnetar/middleware"
//
//	r := chi.NewRouter()
//	r.Use(shed.Deadline(shed.DeadlineConfig{}))
//	r.Use(shed.RateLimit(policy.RateLimiterConfig{Limit: 100}, shed.ByPeerIP))
//	r.Use(shed.Shed(policy.ConcurrencyConfig{}))
//
// Each is a standard func(http.Handler) http.Handler. It is made for chi and
// works with any router. Where a value stands behind it ([Shedder], [Quota]),
// the state belongs to that and not to the handlers it wraps, so one may guard
// many routes.
//
// # In which order
//
// Mount them from the outside in as they cost: what is refused should have cost
// the least, and nothing should hold a place that will be refused later.
//
//	1 your tracing   so that decisions have the server's span as their parent
//	2 Deadline       what cannot be met any more takes no token and no place, and
//	3 Priority       the rest is sorted before anybody queues
//	4 RateLimit      a client over its quota takes no place either
//	5 Shed           innermost, so that it measures the handler and nothing else
//	6 the handler
//
// Shed reads priorities by itself when it is given [WithPriority] and its like;
// [Priority] is for a Shed that is mounted deeper. Time spent in Shed's queue
// counts against the deadline, which is why that comes first. What recovers
// panics, and what puts another address into r.RemoteAddr, belongs inside
// Deadline and RateLimit: the first for Deadline aborts by a panic, the second
// because trust is a matter of the peer.
//
// # What a refused client gets
//
// Overload is 503 and a quota is 429, both with Retry-After in whole seconds,
// jittered upwards, and a small problem body (RFC 9457) that tells nothing of
// the server's insides; a deadline that passed in the handler is 504.
// [WithRefusal] replaces the answer. Of a refused body up to 64 KiB are read, for
// up to 100 ms, so that the connection can be used again; else it is closed.
// [WithShadow] decides and tells, but lets everything pass.
//
// # Whose word counts
//
// Priority and deadline headers are believed only from peers named by
// [WithTrustedPeers] or [WithTrust]: by default from nobody. X-Forwarded-For is
// never read; behind proxies let chi's ClientIPFrom… find the client.
//
// # How the limit is found
//
// With a Limit of 0, Shed finds out by itself how much the server has room for.
//
// It does so by Little's law and by lowering the limit for a moment now and then;
// the algorithm is told where it stands, in policy/internal/limit. The queue
// before it is short and lets in by priority; once it stands, the newest go first,
// for they are the ones who still wait.
//
// Every limit met the same calls in 161 scenarios of virtual time, from 1 to 64
// slots; of three runs each the worst goodput, by family, as a share of what could
// have been answered in time:
//
//	                     steady  steps  retries  cancelling  refusal  critical  uneven  clients    all
//	magnetar              0.878  0.386    0.902       0.925    0.939     0.864   0.718    0.395  0.386
//	none                  0.000  0.001    0.006       0.038    0.036     0.007   0.411    0.000  0.000
//	fixed, right          0.500  0.616    0.875       0.751    0.667     0.677   0.586    0.763  0.500
//	fixed, right, queue   0.870  0.209    0.969       0.973    0.967     0.919   0.677    0.543  0.209
//	fixed, 4x             0.806  0.087    0.953       0.901    0.940     0.214   0.712    0.716  0.087
//	failsafe              0.340  0.157    0.932       0.837    0.834     0.249   0.701    0.284  0.157
//	failsafe, queue       0.144  0.005    0.148       0.331    0.091     0.039   0.812    0.015  0.005
//	failsafe, levels      0.334  0.023    0.263       0.413    0.228     0.049   0.807    0.015  0.015
//	AIMD                  0.451  0.149    0.934       0.117    0.970     0.149   0.706    0.389  0.117
//	AIMD, queue           0.008  0.000    0.204       0.204    0.164     0.003   0.856    0.010  0.000
//	Vegas                 0.169  0.025    0.906       0.517    0.963     0.155   0.686    0.420  0.025
//	Gradient2             0.443  0.174    0.918       0.845    0.893     0.319   0.714    0.332  0.174
//	Gradient2, queue      0.227  0.003    0.160       0.273    0.061     0.028   0.804    0.008  0.003
//	fixed, our gate       0.907  0.849    0.957       0.986    0.976     0.953   0.690    0.926  0.690
//	failsafe, our gate    0.344  0.171    0.884       0.859    0.619     0.272   0.810    0.103  0.103
//	Gradient2, our gate   0.547  0.032    0.774       0.812    0.485     0.316   0.823    0.030  0.030
//
// And over all of them, the mean, in how many it fell below 0.9, and the share
// refused although there was room on average:
//
//	magnetar             0.945   20   2.3%
//	none                 0.455  100   0.0%
//	fixed, right         0.873   69  17.4%
//	fixed, right, queue  0.935   24   3.4%
//	fixed, 4x            0.898   43   3.8%
//	failsafe             0.873   46   4.6%
//	failsafe, queue      0.711   69   4.7%
//	failsafe, levels     0.749   69   4.4%
//	AIMD                 0.844   52   9.6%
//	AIMD, queue          0.566   85  13.9%
//	Vegas                0.815   61  13.8%
//	Gradient2            0.880   44   4.4%
//	Gradient2, queue     0.672   71   3.3%
//	fixed, our gate      0.985    7   2.4%
//	failsafe, our gate   0.869   50   3.6%
//	Gradient2, our gate  0.848   54   2.4%
//
// "Our gate" is the queue of Shed around another limit; "fixed, right" knows how
// many slots there are, which nobody does, and so "fixed, our gate" is what there
// is to reach. magnetar falls short of it where tries become so slow that they
// take about as long as their callers wait (0.39 to 0.9 at ten to twenty times
// slower), with two slots of CPU at ten times slower (0.4 to 0.8), and by about 1 %
// in steady overload, for looking. Bursts of five times the load that last for
// longer than the queue lose a quarter, as under any short queue. All rows:
//
//	go -C policy/internal/compare test -run Comparison -v -count=1 -timeout 60m .
//
// # What it will not do
//
//   - Cut a handler short that does not heed its context: a goroutine cannot be
//     ended from outside, and answering in its stead would only hide it.
//   - Wait for a quota, or limit by a key that nobody chose.
//   - Tell a slow client from a slow server by the clock alone: time that a
//     request waits for its own client is left out.
//   - Authenticate, cache, retry or balance.
package middleware
