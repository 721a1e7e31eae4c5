package pool

import "context"

// Factory makes, checks and closes the connections of a [Pool]. Its methods run
// in goroutines of their own with no lock held, many at a time, each within the
// time that [Config] gives it: one that hangs is left behind, its goroutine until it
// returns, and what it makes later is closed.
//
// A panic in one of them, and a runtime.Goexit, is its error: the goroutine is
// the pool's own, and a pool must survive a connection that does not.
type Factory[T any] interface {
	// Create makes a connection. ctx has the values of the request that led to
	// it, but does not end with it: another may use the connection. A nil
	// connection without an error is an error.
	Create(ctx context.Context) (T, error)
	// IsHealthy returns nil if the connection is as good as new. One that is not
	// is closed, also while IsHealthy still runs after its time.
	IsHealthy(ctx context.Context, conn T) error
	// Close closes the connection. It is called once for each that was made,
	// except for those detached.
	Close(conn T) error
}

// Funcs makes a [Factory] of functions. Without isHealthy every connection is
// always healthy, without hangUp there is nothing to close; create is required,
// or [New] returns an error.
func Funcs[T any](
	create func(ctx context.Context) (T, error),
	isHealthy func(ctx context.Context, conn T) error,
	hangUp func(conn T) error,
) Factory[T] {
	return funcs[T]{create, isHealthy, hangUp}
}

type funcs[T any] struct {
	create    func(context.Context) (T, error)
	isHealthy func(context.Context, T) error
	hangUp    func(T) error
}

func (f funcs[T]) Create(ctx context.Context) (T, error) { return f.create(ctx) }

func (f funcs[T]) IsHealthy(ctx context.Context, conn T) error {
	if f.isHealthy == nil {
		return nil
	}
	return f.isHealthy(ctx, conn)
}

func (f funcs[T]) Close(conn T) error {
	if f.hangUp == nil {
		return nil
	}
	return f.hangUp(conn)
}

// creates reports whether f can make connections at all.
func creates[T any](f Factory[T]) bool {
	own, ok := f.(funcs[T])
	return f != nil && (!ok || own.create != nil)
}

// checks reports whether IsHealthy has anything to say.
func checks[T any](f Factory[T]) bool {
	own, ok := f.(funcs[T])
	return !ok || own.isHealthy != nil
}
