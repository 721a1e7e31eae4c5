package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cloudsoda/go-smb2"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
)

// Config is how files are asked for.
type Config struct {
	Pool    pool.Config
	Retry   policy.RetryConfig
	Breaker policy.CircuitBreakerConfig
	// Try is the time of a try from when it has a session.
	Try time.Duration
	// MaxRead is the most bytes that a file may have to be read; longer ones are an
	// error that matches [ErrTooLong]. Default, when zero or negative: 64 MiB.
	MaxRead int64
}

const defaultMaxRead = 64 << 20

// ErrTooLong is of a file that is longer than is read, or so the server says.
var ErrTooLong = errors.New("too long to be read")

// Patient is for callers who would rather wait for a server that restarts than
// fail, as long as their contexts live.
func Patient() Config {
	return Config{
		Pool: pool.Config{
			MaxSize:        8,
			AcquireTimeout: time.Second,
			CreateTimeout:  2 * time.Second,
			CheckTimeout:   time.Second,
			CloseTimeout:   2 * closeTime,
		},
		Retry: policy.RetryConfig{MaxRetries: 100, InitialBackoff: 20 * time.Millisecond, MaxBackoff: time.Second},
		// With a share of trials whom the breaker refuses is told to come back after
		// the cooldown; without, when a trial under way would expire.
		Breaker: policy.CircuitBreakerConfig{FailureThreshold: 10, Cooldown: 200 * time.Millisecond, TrialShare: 0.1},
		Try:     2 * time.Second,
	}
}

// Files is a share that is asked over as many sessions as it takes, and asked
// again where that is safe. Errors are those of os, as far as there is one, and
// those of the policies. It is safe for concurrent use, and must be closed.
type Files struct {
	pool    *pool.Pool[*Share]
	retry   *policy.Retry
	breaker *policy.CircuitBreaker
	timeout *policy.Timeout
	maxRead int64
}

// OpenFiles opens the share, without waiting for a session. Observers are told
// what the policies decide, beside the telemetry.
func OpenFiles(s Server, cfg Config, observers ...policy.Observer) (*Files, error) {
	if err := errors.Join(cfg.Retry.Validate(), cfg.Breaker.Validate()); err != nil {
		return nil, err
	}
	others := policy.Observers(observers...)
	opts := []policy.Option{policy.WithKey(s.Address), policy.WithObserver(policy.Observers(otel.New(), others))}
	sessions, err := pool.New(pool.Funcs(s.dial, checkShare, (*Share).close), cfg.Pool,
		pool.WithKey(s.Address), pool.WithObserver(others)) // a pool has telemetry of its own
	if err != nil {
		return nil, err
	}
	return &Files{
		pool:    sessions,
		retry:   policy.NewRetry(cfg.Retry, append(opts, policy.RetryIf(worthWaiting))...),
		breaker: policy.NewCircuitBreaker(cfg.Breaker, append(opts, policy.FailureIf(serversFault))...),
		timeout: policy.NewTimeout(cfg.Try, opts...),
		maxRead: maxRead(cfg.MaxRead),
	}, nil
}

func checkShare(ctx context.Context, sh *Share) error { return sh.check(ctx) }

// Close waits for the calls under way until ctx ends, and cuts them then.
func (f *Files) Close(ctx context.Context) error { return f.pool.Close(ctx) }

// worthWaiting is the rule of a patient caller: but for what is permanent all is
// tried again, even what the breaker or the pool has refused.
func worthWaiting(err error) bool {
	return !policy.IsPermanent(err) && !errors.Is(err, policy.ErrClosed)
}

// call is one call, of as many tries as it takes.
func call[T any](ctx context.Context, f *Files, try func(context.Context) (T, error)) (T, error) {
	return policy.Get(ctx, try, f.retry, f.breaker)
}

// lend has use have a share for the time of one try.
func (f *Files) lend(ctx context.Context, use func(*smb2.Share) error) error {
	return f.pool.Do(ctx, func(ctx context.Context, sh *Share) error {
		return f.timeout.Do(ctx, func(ctx context.Context) error { return marked(sh.Do(ctx, use)) })
	})
}

// Read returns what is in a file.
func (f *Files) Read(ctx context.Context, name string) ([]byte, error) {
	return call(ctx, f, func(ctx context.Context) (data []byte, err error) {
		err = f.lend(ctx, func(share *smb2.Share) error {
			file, err := share.Open(name)
			if err != nil {
				return err
			}
			info, err := file.Stat()
			if err == nil {
				data, err = readSize(file, info.Size(), f.maxRead)
			}
			return errors.Join(err, file.Close())
		})
		return data, err
	})
}

// readSize reads as much as the file had when it was opened. One that was cut
// short since is an error, not a shorter file. The size is the server's word, for
// which no memory is taken unseen.
func readSize(file *smb2.File, size, most int64) ([]byte, error) {
	if size < 0 || size > most {
		return nil, fmt.Errorf("%s: %d bytes, of at most %d: %w", file.Name(), size, most, ErrTooLong)
	}
	data := make([]byte, size)
	if n, err := io.ReadFull(file, data); err != nil {
		return nil, fmt.Errorf("%s: %d bytes of %d: %w", file.Name(), n, size, shortened(err))
	}
	return data, nil
}

// shortened has a file that lost all of its bytes end as unexpectedly as one
// that lost some.
func shortened(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// List returns the names in a directory, "" being the share's root.
func (f *Files) List(ctx context.Context, dir string) ([]string, error) {
	return call(ctx, f, func(ctx context.Context) (names []string, err error) {
		err = f.lend(ctx, func(share *smb2.Share) error {
			entries, err := share.ReadDir(dir)
			names = names[:0]
			for _, e := range entries {
				names = append(names, e.Name())
			}
			return err
		})
		return slices.DeleteFunc(names, isTemporary), err
	})
}

// Remove removes a file. One that a try before this one may have removed is not
// missed.
func (f *Files) Remove(ctx context.Context, name string) error {
	tries := 0
	_, err := call(ctx, f, func(ctx context.Context) (none struct{}, err error) {
		return none, f.lend(ctx, func(share *smb2.Share) error {
			tries++
			err := share.Remove(name)
			if tries > 1 && errors.Is(err, os.ErrNotExist) {
				return nil
			}
			return err
		})
	})
	return err
}

func maxRead(configured int64) int64 {
	if configured <= 0 {
		return defaultMaxRead
	}
	return configured
}

func isTemporary(name string) bool { return strings.HasPrefix(name, temporary) }
