package pool_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/magnetar-go/magnetar/pool"
)

func BenchmarkPool(b *testing.B) {
	for _, c := range []struct {
		name    string
		callers int // per CPU; zero: one in all
		hold    func()
	}{
		{"serial", 0, func() {}},
		{"parallel", 1, func() {}},
		{"contended", 32, func() {}},
		{"waiting", 32, runtime.Gosched},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, err := pool.New(&works{}, pool.Config{})
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close(context.Background())
			ctx := context.Background()
			cycle := func() {
				if l, err := p.Acquire(ctx); err == nil {
					c.hold()
					l.Release()
				}
			}
			b.ReportAllocs()
			if c.callers == 0 {
				for b.Loop() {
					cycle()
				}
				return
			}
			b.SetParallelism(c.callers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					cycle()
				}
			})
		})
	}
}
