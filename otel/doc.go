// Package otel turns the decisions of the kit's policies into OpenTelemetry
// spans and metrics, into lines of a log, and into a page that shows them live.
// It uses the OpenTelemetry API alone: where no SDK is installed, spans and
// metrics cost a few nanoseconds and no allocation per decision. An SDK that is
// installed later is noticed.
//
// An [*Observer] is a [policy.Observer]. It is handed to a policy with
// [policy.WithObserver]; the kit's transport, middleware and pool have one by
// default. A nil *Observer is valid and does nothing.
//
// # Spans
//
//	name                        kind      lasts
//	call {METHOD}               INTERNAL  a whole call with its retries
//	{METHOD}                    CLIENT    one try, to the end of its response body
//	{METHOD} {url.template}     CLIENT    the same, see [ContextWithURLTemplate]
//	magnetar.{policy}.{action}  INTERNAL  one decision, such as magnetar.breaker.refuse
//
// {METHOD} is HTTP where the method is unknown, see below. Names never hold a
// path.
//
// A call has an Error status only where its caller sees a failure: an error, or
// a final status of 400 and above. A try that was retried does not fail its
// call. What the caller canceled is no error on either. A decision never has an
// Error status: a refusal is a policy at work, and whether it failed anything
// is told by the call around it, which not every decision has.
//
// A decision becomes a span only where the span in its context records, and is
// that span's child; requests to a server may begin traces, see below. It begins
// and ends when the decision did, and lasts a nanosecond where that took no time.
// A decision of a breaker that is not closed is linked to the span that tripped
// it, found by the breaker's key (breakers without a key count as one): give
// breakers that share an observer a [policy.WithKey].
//
// # Requests to a server
//
// The decisions of the kit's middleware are told in the context that
// [Observer.Inbound] returns. Where a server span is in it, of otelhttp or any
// other, the rule above holds: the decisions are its children where it records,
// and no spans where it does not. Where there is none, the caller's is read from
// the headers by the propagators:
//
//	span in the context   caller's span   decisions become
//	records               any             its children, as Detail says
//	does not record       any             no spans
//	none                  not sampled     no spans
//	none                  sampled         its children, if the sampler agrees
//	none                  absent          roots, if the sampler agrees
//
// In the last two rows only what held up or refused a request becomes a span: a
// refusal, a wait, an admission after a wait, a deadline that passed. What else
// an operator wants to know of the request, its server span would say. Each
// begins for itself, for the kit ends no span that it does not begin and end at
// once. A sampler that shall not follow strangers can tell them by
// sdktrace.WithRemoteParentSampled.
//
// # Decisions in the background
//
// What a pool decides while nobody waits for it (to eject, return, rotate or
// retire, a change of addresses, a probe) is told in a context of [Background]:
// each such decision is the root of a trace of its own, if the sampler agrees,
// linked to the span of the request that led to it where one did.
//
// # Propagation
//
// Each try sends on the context in which it is made, as the propagators write
// it. Those of the W3C write:
//
//	SDK   span in the context   traceparent
//	yes   any, or none          the span of the try; where it is not sampled, that of the
//	                            call, and for a retry one of its own
//	no    any                   that span as it is
//	no    none                  is not written
//
// What is not sampled is sent on as not sampled, and tracestate goes with both.
//
// Baggage is sent with or without a trace, on each try and on the redirects that
// a client follows, wherever they lead.
//
// What is written replaces what the caller had put into the same headers by
// hand, in the try's copy of them alone; what is not written is sent as the
// caller put it. So a proxy that copies the headers it gets passes a trace on
// until a span of its own takes that place. A tracestate put there by hand is
// dropped where the traceparent is written over.
//
// # Attributes of spans
//
// Those of the semantic conventions for HTTP clients, version 1.43:
//
//	attribute                     call  try  value
//	http.request.method           x     x    method, or _OTHER where unknown
//	http.request.method_original        x    the method, where it is unknown
//	http.request.resend_count           x    1 for the first retry; absent before
//	http.response.status_code     x     x    of the last response
//	error.type                    x     x    status ≥ 400, policy.Reason, or type of the error
//	network.protocol.version            x    1.0, 1.1, 2, 3
//	server.address                x     x    host of the URL
//	server.port                   x     x    port of the URL, or of its scheme
//	url.full                            x    with secrets as REDACTED
//	url.template                        x    see [ContextWithURLTemplate]
//
// And the kit's own; what is zero is left out, but for the count of attempts:
//
//	attribute                type    on        unit, value
//	magnetar.call.attempts   int     call      {try}; 0: refused before the first
//	magnetar.canceled        bool    call, try true where the caller went away
//	magnetar.policy          string  decision  policy.Decision.Policy
//	magnetar.action          string  decision  policy.Action
//	magnetar.reason          string  decision  policy.Reason
//	magnetar.key             string  decision  for which key
//	magnetar.priority        string  decision  bulk, low, normal, critical; where the policy looks at it
//	magnetar.shadow          bool    decision  true where it was only told, not carried out
//	magnetar.endpoint        string  decision  address behind the key
//	magnetar.connection.age  float   decision  s
//	magnetar.connection.reused  bool  decision  true where it had been used before
//	magnetar.note            string  decision  the reason given by hand
//	magnetar.attempt         int     decision  number of the try, from 1
//	magnetar.limit           int     decision  {try}, in flight or per period
//	magnetar.in_flight       int     decision  {try}
//	magnetar.queued          int     decision  {try}
//	magnetar.calls           int     decision  {call}, before a transition
//	magnetar.failures        int     decision  {call}
//	magnetar.slow            int     decision  {call}
//	magnetar.retry_after     float   decision  s
//	error.type               string  decision  of the failure that led to it
//	http.route               string  decision  pattern that a request to a server matched; unrouted
//	                                           before a router has looked, unmatched where it found none
//
// Samplers see http.request.method, server.address, server.port and
// url.template of calls and tries, and policy, action, reason, route, priority
// and shadow of decisions; the rest is added where a span records. Known methods are those
// of RFC 9110, PATCH and QUERY, or what OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS
// lists instead, by commas.
//
// # Metrics
//
//	name                          instrument     unit          attributes
//	http.client.request.duration  histogram      s             http.request.method, server.address, server.port,
//	                                                           http.response.status_code, error.type,
//	                                                           network.protocol.version, url.template
//	magnetar.decisions            counter        {decision}    magnetar.policy, magnetar.action, magnetar.reason,
//	                                                           magnetar.priority, magnetar.shadow, http.route
//	magnetar.wait.duration        histogram      s             magnetar.policy, magnetar.action, magnetar.priority
//	magnetar.in_flight            histogram      {try}         magnetar.policy
//	magnetar.limit                gauge          {try}         magnetar.policy
//	magnetar.breaker.open         updowncounter  {breaker}     none
//	magnetar.pool.connections     updowncounter  {connection}  magnetar.pool.name, magnetar.pool.state
//	magnetar.pool.max             updowncounter  {connection}  magnetar.pool.name
//	magnetar.pool.waiting         updowncounter  {caller}      magnetar.pool.name
//	magnetar.pool.endpoints       updowncounter  {endpoint}    server.address, server.port, magnetar.pool.state
//	http.client.open_connections  updowncounter  {connection}  server.address, server.port, http.connection.state
//
// The state of a pool's connections is idle, active or creating, that of a
// connection to a server idle or active, and that of an endpoint healthy,
// slow_start or ejected. A pool's name is what pool.WithKey gives it. Of
// connections and endpoints at most 500 servers are told apart, and beyond them
// the server counts as _OTHER.
//
// No other metric has the key: keys are often hosts, and those may be without bound.
// For the same reason magnetar.in_flight is a distribution, of what each
// decision found, and magnetar.limit is told by policies without a key alone,
// when it changes. magnetar.wait.duration has what a try waited, whether it was
// then admitted or refused. What is zero is left out, as on spans: a decision
// about no request has no http.route, and only those of [policy.PolicyShed]
// always have a magnetar.priority.
//
// The routes are the patterns that a router was given, never paths. At most 900
// combinations with a route are told apart, and beyond them the route counts as
// _OTHER; of the others at most 1,000, and beyond them policy and action do.
//
// A measurement is made in the context of the try that it is of, so that the
// SDK's exemplars lead to its span where that is sampled: those of
// http.client.request.duration to the CLIENT span, all others to the span whose
// child the decision is. What is decided in the background leads to the span that
// led to it. A decision that begins a trace on a server has none, nor have levels,
// which are read when metrics are collected.
//
// Of a server, the refusals by reason and priority are magnetar.decisions, the
// time in the queue is magnetar.wait.duration, and http.server.request.duration
// is left to what makes its spans, such as otelhttp.
//
// # Logs
//
// A [*LogObserver] logs decisions by log/slog. It is an observer of its own, for
// those who read lines beside traces or have no traces at all; where a policy
// has both, [policy.Observers] joins them. A decision is one line, of message
// magnetar.{policy}.{action}:
//
//	level  decisions
//	WARN   what keeps calls from their answer: refuse, timeout, open, hold, eject, leak,
//	       give_up for max_retries or budget
//	INFO   what else changed or took time: wait, admit after a wait, half_open, close, return,
//	       rotate, resize, resolve, the other give_ups, a create, probe or retire that failed; and what
//	       would be WARN, but was only told, not carried out
//	DEBUG  routine: admit, acquire, bypass, a create, probe or retire that went well, give_up for
//	       not_retryable or canceled
//
// What is zero is left out:
//
//	attribute       type      value
//	reason          string    policy.Reason
//	key             string    for which key
//	route           string    pattern that a request to a server matched
//	priority        string    bulk, low, critical
//	shadow          bool      true where it was only told, not carried out
//	endpoint        string    address behind the key
//	age             duration  of the connection
//	reused          bool      true where it had been used before
//	note            string    the reason given by hand
//	took            duration  how long the decision lasted
//	attempt         int       number of the try, from 1
//	limit           int       tries in flight or per period
//	in_flight       int       tries
//	queued          int       tries
//	calls           int       calls before a transition
//	failures        int       of them
//	slow            int       of them
//	retry_after     duration
//	error           any       the failure that led to it, an error
//	suppressed      int       how many decisions a summary stands for
//	over            duration  since the line or the summary before it
//	trace_id        string    of the span in the context, whether it records or not; hex, as are
//	span_id         string    these; the names are OpenTelemetry's for logs
//	trace_flags     string    01 where the trace is sampled, so that there is one to look at; else 00
//	cause_trace_id  string    the same of the span that led to a decision in the background,
//	cause_span_id   string    see [Background]
//	cause_trace_flags  string
//
// Texts are cut after 256 bytes; to escape them is the handler's business, and
// those of log/slog do.
//
// At INFO and above, lines are limited. The first decision of a kind (policy,
// action, reason, key, endpoint and shadow) is logged at once. Those that follow
// within 10 s, see [WithLogInterval], are counted, and when the time is over one
// line stands for them, a summary: that of the last of them with suppressed and
// over, and with the ids of the last one whose trace is sampled, if any is. It
// begins the next interval, so that a storm of one kind is one line every 10 s. A
// kind of which none followed is forgotten. At most 1,000 kinds are told apart;
// while there are more, the others share one for each policy, action and reason,
// whose summaries have the key _OTHER. The error of a summary is asked for its
// text when that is logged.
//
// A summary is logged by a timer's goroutine, in a context that has the ids and
// nothing else. What its handler panics with goes to OpenTelemetry's error
// handler, since nobody else is there to be told.
//
// # The console
//
// A [*Console] shows on one page how all that it observes stands, and the last
// decisions. It is handed over with WithObserver, and mounted as a handler:
//
//	shown               comes from
//	traffic             results of tries and requests, refusals; admissions of policies without results
//	breakers            transports and breakers that have the console as their observer
//	limits              transports, middleware, limits, rate limits; a throttle while it holds a key
//	retry budgets       transports, retries with a budget
//	pools, endpoints    pool.Pool, pool.Transport
//	last decisions      all decisions that are not routine, one line for those that repeat within 10 s
//
// Its data are also there as JSON, see [Console.ServeHTTP], and are for people and
// their scripts: names and fields may be added.
//
// # Limits
//
// A tracer of the API's own global provider, before an SDK is set, counts as
// none. What eBPF auto-instrumentation would read from such a tracer is not
// begun, unless a span that records is already in the context.
package otel
