package otel

import (
	"context"
	"iter"

	api "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// PoolLevel is how full a pool is at the moment.
type PoolLevel struct {
	Idle, Active, Creating int // connections
	Max                    int // connections
	Waiting                int // callers
}

// WatchPool measures how full the pool of that name is whenever metrics are
// collected, until stop is called. What pools of one name have is added up. read
// must be quick and safe for concurrent use.
func (o *Observer) WatchPool(name string, read func() PoolLevel) (stop func()) {
	if o == nil {
		return func() {}
	}
	m, _ := o.meters.now()
	pool := keyPoolName.String(name)
	in := func(state string) metric.ObserveOption {
		return metric.WithAttributeSet(attribute.NewSet(pool, keyPoolState.String(state)))
	}
	whole := metric.WithAttributeSet(attribute.NewSet(pool))
	idle, active, creating := in("idle"), in("active"), in("creating")
	return m.levels.watch(func(to metric.Observer) {
		level := read()
		to.ObserveInt64(m.levels.pool, int64(level.Idle), idle)
		to.ObserveInt64(m.levels.pool, int64(level.Active), active)
		to.ObserveInt64(m.levels.pool, int64(level.Creating), creating)
		to.ObserveInt64(m.levels.max, int64(level.Max), whole)
		to.ObserveInt64(m.levels.waiting, int64(level.Waiting), whole)
	})
}

// OpenConnections is how many connections to a server are open at the moment.
type OpenConnections struct {
	Address      string // host of the URL
	Port         int
	Active, Idle int // with and without a request
}

// WatchOpenConnections measures the connections that read yields whenever
// metrics are collected, until stop is called. Beyond 500 servers they count for
// one named _OTHER. read must be quick and safe for concurrent use.
func (o *Observer) WatchOpenConnections(read func() iter.Seq[OpenConnections]) (stop func()) {
	if o == nil {
		return func() {}
	}
	m, _ := o.meters.now()
	return m.levels.watch(func(to metric.Observer) {
		tell := func(c OpenConnections) {
			in := ofServer(c.Address, c.Port)
			to.ObserveInt64(m.levels.open, int64(c.Active), in(semconv.HTTPConnectionStateActive))
			to.ObserveInt64(m.levels.open, int64(c.Idle), in(semconv.HTTPConnectionStateIdle))
		}
		rest := OpenConnections{Address: other}
		if foremost(read(), tell, func(c OpenConnections) {
			rest.Active += c.Active
			rest.Idle += c.Idle
		}) {
			tell(rest)
		}
	})
}

// Endpoints is how many addresses stand behind a server's name at the moment, by
// whether they get requests.
type Endpoints struct {
	Address  string // host of the URL
	Port     int
	Healthy  int // get their share of requests
	Starting int // get a growing share
	Ejected  int // get none, unless too few are healthy
}

// WatchEndpoints measures the endpoints that read yields whenever metrics are
// collected, until stop is called. Beyond 500 servers they count for one named
// _OTHER. read must be quick and safe for concurrent use.
func (o *Observer) WatchEndpoints(read func() iter.Seq[Endpoints]) (stop func()) {
	if o == nil {
		return func() {}
	}
	m, _ := o.meters.now()
	return m.levels.watch(func(to metric.Observer) {
		tell := func(e Endpoints) {
			in := ofServer(e.Address, e.Port)
			to.ObserveInt64(m.levels.endpoints, int64(e.Healthy), in(keyPoolState.String("healthy")))
			to.ObserveInt64(m.levels.endpoints, int64(e.Starting), in(keyPoolState.String("slow_start")))
			to.ObserveInt64(m.levels.endpoints, int64(e.Ejected), in(keyPoolState.String("ejected")))
		}
		rest := Endpoints{Address: other}
		if foremost(read(), tell, func(e Endpoints) {
			rest.Healthy += e.Healthy
			rest.Starting += e.Starting
			rest.Ejected += e.Ejected
		}) {
			tell(rest)
		}
	})
}

// ofServer returns the attributes of a server with one of its states.
func ofServer(address string, port int) func(state attribute.KeyValue) metric.ObserveOption {
	server := [...]attribute.KeyValue{semconv.ServerAddress(address), semconv.ServerPort(port)}
	return func(state attribute.KeyValue) metric.ObserveOption {
		return metric.WithAttributeSet(attribute.NewSet(server[0], server[1], state))
	}
}

// serversMax bounds the servers that are told apart.
const serversMax = 500

// foremost tells as many of all as are told apart and lumps the others, if there
// are any.
func foremost[T any](all iter.Seq[T], tell, lump func(T)) (others bool) {
	servers := 0
	for one := range all {
		if servers++; servers <= serversMax {
			tell(one)
		} else {
			lump(one)
		}
	}
	return servers > serversMax
}

// levels are the metrics that are read when they are collected.
type levels struct {
	meter metric.Meter

	pool      metric.Int64ObservableUpDownCounter
	max       metric.Int64ObservableUpDownCounter
	waiting   metric.Int64ObservableUpDownCounter
	open      metric.Int64ObservableUpDownCounter
	endpoints metric.Int64ObservableUpDownCounter
}

func newLevels(m metric.Meter) levels {
	return levels{
		meter: m,
		pool: ok(m.Int64ObservableUpDownCounter("magnetar.pool.connections",
			metric.WithUnit("{connection}"),
			metric.WithDescription("Connections of a pool by state."))),
		max: ok(m.Int64ObservableUpDownCounter("magnetar.pool.max",
			metric.WithUnit("{connection}"),
			metric.WithDescription("Connections that a pool may have."))),
		waiting: ok(m.Int64ObservableUpDownCounter("magnetar.pool.waiting",
			metric.WithUnit("{caller}"),
			metric.WithDescription("Callers that wait for a connection of a pool."))),
		open: ok(m.Int64ObservableUpDownCounter("http.client.open_connections",
			metric.WithUnit("{connection}"),
			metric.WithDescription("Number of outbound HTTP connections that are currently active or idle on the client."))),
		endpoints: ok(m.Int64ObservableUpDownCounter("magnetar.pool.endpoints",
			metric.WithUnit("{endpoint}"),
			metric.WithDescription("Addresses behind a server's name by whether they get requests."))),
	}
}

func (l levels) watch(read func(metric.Observer)) (stop func()) {
	registration, err := l.meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		read(to)
		return nil
	}, l.pool, l.max, l.waiting, l.open, l.endpoints)
	if err != nil {
		api.Handle(err)
		return func() {}
	}
	return func() {
		if err := registration.Unregister(); err != nil {
			api.Handle(err)
		}
	}
}
