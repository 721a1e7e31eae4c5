package postgres

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

// Config is a database, its pool and the policies around them. [Default] has
// what is recommended; parts that are zero have the kit's defaults.
type Config struct {
	// URL as pgx.ParseConfig takes it. Required by Open, not by Validate. No error
	// has its text, for there may be a password in it.
	URL string `json:"url,omitempty" yaml:"url,omitempty"`
	// Pool of connections. They are made with CreateTimeout, whatever URL says.
	Pool pool.Config `json:"pool,omitzero" yaml:"pool,omitempty"`
	// Retry repeats what is safe to repeat. It is the outermost.
	Retry policy.RetryConfig `json:"retry,omitzero" yaml:"retry,omitempty"`
	// Breaker opens when the server is sick: statements that outlast Timeout, its
	// own errors, no connection to be had. Lost connections are the pool's matter.
	Breaker policy.CircuitBreakerConfig `json:"breaker,omitzero" yaml:"breaker,omitempty"`
	// RateLimit of tries. Default: nil, none.
	RateLimit *policy.RateLimiterConfig `json:"rate_limit,omitempty" yaml:"rate_limit,omitempty"`
	// Dial keeps a server that is gone from being dialled in a storm.
	Dial policy.CircuitBreakerConfig `json:"dial,omitzero" yaml:"dial,omitempty"`
	// Timeout of a try, once it has a connection. Default: 10s.
	Timeout time.Duration `json:"timeout,omitempty" yaml:"timeout,omitempty"`
}

// Default is the recommended configuration of a database: outages of seconds
// are waited for, longer ones are refused at once.
func Default(url string) Config {
	return Config{
		URL:       url,
		Pool:      pool.Config{MaxSize: 10, AcquireTimeout: 10 * time.Second, CreateTimeout: 5 * time.Second, CheckTimeout: time.Second},
		Retry:     policy.RetryConfig{MaxRetries: 10, InitialBackoff: 20 * time.Millisecond, MaxBackoff: time.Second},
		Breaker:   policy.CircuitBreakerConfig{FailureThreshold: 10, Cooldown: time.Second, MaxCooldown: 10 * time.Second},
		RateLimit: &policy.RateLimiterConfig{Limit: 2000, Pacing: policy.PacingSmooth},
		Dial:      policy.CircuitBreakerConfig{FailureThreshold: 5, SuccessThreshold: 1, Cooldown: 500 * time.Millisecond, MaxCooldown: 5 * time.Second},
		Timeout:   10 * time.Second,
	}
}

// Validate reports every invalid field.
func (c Config) Validate() error {
	var f policy.Faults
	if _, err := parse(c.URL); err != nil {
		f.Add("url", err)
	}
	f.Add("pool", c.Pool.Validate())
	f.Add("retry", c.Retry.Validate())
	f.Add("breaker", c.Breaker.Validate())
	if c.RateLimit != nil {
		f.Add("rate_limit", c.RateLimit.Validate())
	}
	f.Add("dial", c.Dial.Validate())
	if c.Timeout < 0 {
		f.Addf("timeout", "%v: must be ≥ 0", c.Timeout)
	}
	return f.Err()
}

// parse tells nothing of what pgx says is wrong, which may be a part of a password.
func parse(url string) (*pgx.ConnConfig, error) {
	conn, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("must be such as postgres://user:password@host:5432/database, of files that can be read (what it is, is not told here)")
	}
	return conn, nil
}

// DB is a database. It is safe for concurrent use, and must be closed.
type DB struct {
	pool     *pool.Pool[*session]
	policies []policy.Policy
	timeout  *policy.Timeout
}

// Open makes a DB and begins to connect; it does not wait for the server. The
// error names every fault of cfg.
func Open(cfg Config, opts ...Option) (*DB, error) {
	var f policy.Faults
	f.Add("", cfg.Validate())
	if cfg.URL == "" { // pgx would take the environment's
		f.Addf("url", "must not be empty")
	}
	if err := f.Err(); err != nil {
		return nil, err
	}
	conn, err := parse(cfg.URL)
	if err != nil {
		return nil, err
	}
	o := options{telemetry: otel.New(), password: func(context.Context) (string, error) { return conn.Password, nil }}
	for _, opt := range opts {
		opt(&o)
	}
	key := "postgres://" + net.JoinHostPort(conn.Host, strconv.Itoa(int(conn.Port))) + "/" + conn.Database
	observe, named := policy.WithObserver(policy.Observers(o.telemetry, o.observer)), policy.WithKey(key)
	if o.gate == nil {
		o.gate = policy.NewCircuitBreaker(cfg.Dial, observe, named)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	db := &DB{
		policies: []policy.Policy{
			policy.NewRetry(cfg.Retry, observe, named),
			policy.NewCircuitBreaker(cfg.Breaker, observe, named, policy.FailureIf(sick)),
		},
		timeout: policy.NewTimeout(cfg.Timeout, observe, named),
	}
	if cfg.RateLimit != nil {
		db.policies = append(db.policies, policy.NewRateLimiter(*cfg.RateLimit, observe, named))
	}
	db.pool, err = pool.New(&sessions{conn, o.password}, cfg.Pool,
		pool.WithKey(key), pool.WithGate(o.gate), pool.WithTelemetry(o.telemetry), pool.WithObserver(o.observer))
	if err != nil {
		return nil, err
	}
	return db, nil
}

// Retire leaves all connections for new ones, once they are not in use: the
// password was rotated, say, or another server is the primary now.
func (db *DB) Retire(reason string) { db.pool.Retire(reason) }

// Stats of the pool.
func (db *DB) Stats() pool.Stats { return db.pool.Stats() }

// Close waits for the connections in use, as long as ctx lives. When ctx ends
// before, the error matches that of ctx, and the connections are closed under their
// users: statements fail, and calls with [policy.ErrClosed], or with a
// [*CommitUnknownError] if the COMMIT was on its way.
func (db *DB) Close(ctx context.Context) error { return db.pool.Close(ctx) }

// Option gives a DB a collaborator.
type Option func(*options)

type options struct {
	password  func(context.Context) (string, error)
	telemetry *otel.Observer
	observer  policy.Observer
	gate      policy.Gate
}

// WithPassword asks for the password anew for each connection, so that a rotated
// one is found. Default: that of the URL.
func WithPassword(ask func(context.Context) (string, error)) Option {
	return func(o *options) { o.password = ask }
}

// WithTelemetry replaces the default OpenTelemetry observer, otel.New(); nil turns
// spans and metrics off.
func WithTelemetry(o *otel.Observer) Option { return func(opts *options) { opts.telemetry = o } }

// WithObserver tells every decision to w too, beside the telemetry.
func WithObserver(w policy.Observer) Option { return func(o *options) { o.observer = w } }

// WithGate replaces the breaker of Config.Dial, for pools that share one since
// they dial the same server.
func WithGate(g policy.Gate) Option { return func(o *options) { o.gate = g } }

// with runs f with a connection, which the pool gets back only if another can
// use it.
func (db *DB) with(ctx context.Context, f func(context.Context, *pgx.Conn) error) error {
	l, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	c := l.Value()
	c.use.Lock()
	reusable := false
	defer func() { // after a panic too
		c.use.Unlock()
		if reusable {
			l.Release()
		} else {
			l.Discard(err)
		}
	}()
	err = db.timeout.Do(ctx, func(ctx context.Context) error { return f(ctx, c.conn) })
	reusable = idle(c.conn) == nil && !demoted(err)
	return err
}
