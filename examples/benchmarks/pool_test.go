package benchmarks

import (
	"context"
	"runtime"
	"slices"
	"testing"

	"github.com/jackc/puddle/v2"

	"github.com/magnetar-go/magnetar/pool"
)

// A connection is taken and given back, by one goroutine, by one on each
// processor, and by 64 for 10 connections; in the end these let others run while
// they have one, so that most have to wait, and what that alone takes is shown
// too.
const (
	poolSize  = 10
	borrowers = 64
)

type connection struct{ _ int }

// lender is a pool: op takes a connection, calls use, and gives it back.
type lender struct {
	name string
	open func(b *testing.B) (op func(use func()))
}

var lenders = []lender{
	{"puddle", lendPuddle},
	{"magnetar", lendPool},
	{"channel", lendChannel},
}

func BenchmarkPool(b *testing.B) {
	for _, l := range lenders {
		b.Run(l.name, func(b *testing.B) {
			op := l.open(b)
			measure(b, func() { op(atOnce) })
		})
	}
}

func BenchmarkPoolParallel(b *testing.B) {
	for _, l := range lenders {
		b.Run(l.name, func(b *testing.B) {
			op := l.open(b)
			measureParallel(b, func() { op(atOnce) })
		})
	}
}

func BenchmarkPoolContended(b *testing.B) { contend(b, lenders, atOnce) }

func BenchmarkPoolWaiting(b *testing.B) {
	contend(b, append(slices.Clone(lenders), lender{"none", lendNothing}), runtime.Gosched)
}

func contend(b *testing.B, all []lender, use func()) {
	for _, l := range all {
		b.Run(l.name, func(b *testing.B) {
			op := l.open(b)
			b.SetParallelism((borrowers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
			measureParallel(b, func() { op(use) })
		})
	}
}

func atOnce() {}

func lendPool(b *testing.B) func(func()) {
	p, err := pool.New(pool.Funcs(
		func(context.Context) (*connection, error) { return &connection{}, nil },
		func(context.Context, *connection) error { return nil },
		func(*connection) error { return nil },
	), pool.Config{MaxSize: poolSize})
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	b.Cleanup(func() { _ = p.Close(ctx) })
	return func(use func()) {
		lease, err := p.Acquire(ctx)
		if err != nil {
			b.Error(err)
			return
		}
		use()
		lease.Release()
	}
}

func lendPuddle(b *testing.B) func(func()) {
	p, err := puddle.NewPool(&puddle.Config[*connection]{
		Constructor: func(context.Context) (*connection, error) { return &connection{}, nil },
		Destructor:  func(*connection) {},
		MaxSize:     poolSize,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.Close)
	ctx := context.Background()
	return func(use func()) {
		r, err := p.Acquire(ctx)
		if err != nil {
			b.Error(err)
			return
		}
		use()
		r.Release()
	}
}

// lendChannel is what a pool does at the least: it makes no connection, checks
// none and closes none.
func lendChannel(*testing.B) func(func()) {
	idle := make(chan *connection, poolSize)
	for range poolSize {
		idle <- &connection{}
	}
	ctx := context.Background()
	return func(use func()) {
		select {
		case c := <-idle:
			use()
			idle <- c
		case <-ctx.Done():
		}
	}
}

func lendNothing(*testing.B) func(func()) { return func(use func()) { use() } }
