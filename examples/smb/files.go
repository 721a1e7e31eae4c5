package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
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
	// Try is the time of a try from when it has a session: enough for the longest
	// file and directory. Default, when zero or negative: 2s.
	Try time.Duration
	// MaxRead is the most bytes that a file may have to be read; longer ones are an
	// error that matches [ErrTooLong]. Default, when zero or negative: 64 MiB.
	MaxRead int64
	// MaxList is the most names that a directory may have to be listed; longer ones
	// are the same error. Default, when zero or negative: 100,000.
	MaxList int
}

const (
	defaultTry     = 2 * time.Second
	defaultMaxRead = 64 << 20
	defaultMaxList = 100_000
)

// ErrTooLong is of a file or directory that is longer than is read, or so the
// server says.
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
		Try:     defaultTry,
	}
}

// Files is a share that is asked over as many sessions as it takes, and asked
// again where that is safe. Errors are those of os, as far as there is one, and
// those of the policies. Names are those of io/fs, with / or \ between; others are
// refused here, with [os.ErrInvalid]. It is safe for concurrent use, and must be
// closed.
type Files struct {
	pool    *pool.Pool[*Share]
	retry   *policy.Retry
	breaker *policy.CircuitBreaker
	timeout *policy.Timeout
	appends *policy.Concurrency // one at a time
	maxRead int64
	maxList int
	litter  *litter
}

// OpenFiles opens the share, without waiting for a session. Observers are told
// what the policies decide, beside the telemetry. The error tells all that is
// wrong with s and cfg.
func OpenFiles(s Server, cfg Config, observers ...policy.Observer) (*Files, error) {
	var faults policy.Faults
	faults.Add("server", s.validate())
	faults.Add("pool", cfg.Pool.Validate())
	faults.Add("retry", cfg.Retry.Validate())
	faults.Add("breaker", cfg.Breaker.Validate())
	if err := faults.Err(); err != nil {
		return nil, err
	}
	others := policy.Observers(observers...)
	opts := []policy.Option{policy.WithKey(s.Address), policy.WithObserver(policy.Observers(otel.New(), others))}
	sessions, err := pool.New(pool.Funcs(s.dial, checkShare, (*Share).close), cfg.Pool,
		pool.WithKey(s.Address), pool.WithObserver(others)) // a pool has telemetry of its own
	if err != nil {
		return nil, err
	}
	f := &Files{
		pool:    sessions,
		retry:   policy.NewRetry(cfg.Retry, append(opts, policy.RetryIf(worthWaiting))...),
		breaker: policy.NewCircuitBreaker(cfg.Breaker, append(opts, policy.FailureIf(serversFault))...),
		timeout: policy.NewTimeout(positive(cfg.Try, defaultTry), opts...),
		appends: policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1, MaxQueue: maxAppends, MaxWait: -1}, opts...),
		maxRead: positive(cfg.MaxRead, defaultMaxRead),
		maxList: positive(cfg.MaxList, defaultMaxList),
	}
	f.litter = newLitter(f.sweep)
	return f, nil
}

// maxAppends is how many may wait for another to end.
const maxAppends = 1000

func positive[T int | int64 | time.Duration](configured, otherwise T) T {
	if configured <= 0 {
		return otherwise
	}
	return configured
}

func checkShare(ctx context.Context, sh *Share) error { return sh.check(ctx) }

// Close waits for the calls under way, and for the removal of what earlier ones have
// left behind, until ctx ends, and cuts them then.
func (f *Files) Close(ctx context.Context) error {
	f.litter.close(ctx)
	return f.pool.Close(ctx)
}

// sweep removes what calls have left behind, as far as it can until ctx ends.
func (f *Files) sweep(ctx context.Context, left []attempt) {
	_, _ = call(ctx, f, func(ctx context.Context) (none struct{}, err error) {
		return none, f.lend(ctx, func(share *smb2.Share) (err error) {
			left, err = forget(share, left)
			return err
		})
	})
}

// worthWaiting is the rule of a patient caller: but for what is permanent all is
// tried again, even what the breaker or the pool has refused. Too many appends would
// only be more.
func worthWaiting(err error) bool {
	return !policy.IsPermanent(err) && !errors.Is(err, policy.ErrClosed) && !errors.Is(err, policy.ErrSaturated)
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

// lendInTurn lends one at a time. Between tries it is another's turn.
func (f *Files) lendInTurn(ctx context.Context, use func(*smb2.Share) error) error {
	return f.appends.Do(ctx, func(ctx context.Context) error { return f.lend(ctx, use) })
}

// Read returns what is in a file.
func (f *Files) Read(ctx context.Context, name string) ([]byte, error) {
	if err := fileName("read", name); err != nil {
		return nil, err
	}
	return call(ctx, f, func(ctx context.Context) (data []byte, err error) {
		err = f.lend(ctx, func(share *smb2.Share) error {
			file, err := share.Open(name)
			if err != nil {
				return err
			}
			info, err := file.Stat()
			switch {
			case err != nil:
			case info.IsDir():
				err = &os.PathError{Op: "read", Path: name, Err: syscall.EISDIR}
			default:
				data, err = readSize(file, info.Size(), f.maxRead)
			}
			return errors.Join(err, file.Close())
		})
		return data, err
	})
}

// readSize reads as much as the file had when it was opened. One that was cut
// short since is an error, not a shorter file. The size is the server's word, who is
// not believed that it is longer than most.
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

// List returns the names in a directory, sorted, "" being the share's root. Files
// that are not complete yet are not among them.
func (f *Files) List(ctx context.Context, dir string) ([]string, error) {
	if err := dirName("list", dir); err != nil {
		return nil, err
	}
	return call(ctx, f, func(ctx context.Context) (names []string, err error) {
		err = f.lend(ctx, func(share *smb2.Share) error {
			names, err = list(share, dir, f.maxList)
			return err
		})
		return names, err
	})
}

// list has the server go on for no longer than there may be names.
func list(share *smb2.Share, dir string, most int) ([]string, error) {
	file, err := share.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := file.Readdirnames(most + 1)
	if errors.Is(err, io.EOF) { // it is empty
		err = nil
	}
	err = errors.Join(err, file.Close())
	switch {
	case err != nil:
		return nil, err
	case len(names) > most:
		return nil, fmt.Errorf("%s: more than %d names: %w", dir, most, ErrTooLong)
	}
	slices.Sort(names)
	return slices.DeleteFunc(names, isTemporary), nil
}

// Remove removes a file, or an empty directory. One that a try before this one may
// have removed is not missed.
func (f *Files) Remove(ctx context.Context, name string) error {
	if err := fileName("remove", name); err != nil {
		return err
	}
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
