package pool_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/magnetar-go/magnetar/pool"
)

type session struct{ id int }

// sessions makes sessions in place of a server that is not there.
func sessions() pool.Factory[*session] {
	made := 0
	return pool.Funcs(
		func(context.Context) (*session, error) { made++; return &session{made}, nil },
		func(context.Context, *session) error { return nil },
		func(*session) error { return nil },
	)
}

func ExamplePool() {
	ctx := context.Background()
	p, err := pool.New(sessions(), pool.Config{MaxSize: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close(ctx)

	l, err := p.Acquire(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Release()
	fmt.Println("session", l.Value().id)
	// Output: session 1
}

func ExampleFuncs() {
	numbers := pool.Funcs(func(context.Context) (int, error) { return 42, nil }, nil, nil)
	p, err := pool.New(numbers, pool.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close(context.Background())
	_ = p.Do(context.Background(), func(_ context.Context, n int) error {
		fmt.Println(n)
		return nil
	})
	// Output: 42
}

func ExampleLease() {
	ctx := context.Background()
	p, err := pool.New(sessions(), pool.Config{MaxSize: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close(ctx)

	l, _ := p.Acquire(ctx)
	l.Discard(errors.New("protocol error"))
	l.Release() // too late: the lease has ended, and this changes nothing
	fmt.Println("stale releases:", p.Stats().StaleReleases)
	// Output: stale releases: 1
}

func ExamplePool_Do() {
	ctx := context.Background()
	p, err := pool.New(sessions(), pool.Config{MaxSize: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close(ctx)

	err = p.Do(ctx, func(_ context.Context, s *session) error {
		fmt.Println("session", s.id)
		return nil
	})
	fmt.Println(err)
	// Output:
	// session 1
	// <nil>
}

func ExamplePool_Retire() {
	ctx := context.Background()
	p, err := pool.New(sessions(), pool.Config{MaxSize: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close(ctx)

	use := func(_ context.Context, s *session) error {
		fmt.Println("session", s.id)
		return nil
	}
	_ = p.Do(ctx, use)
	p.Retire("password rotated")
	_ = p.Do(ctx, use)
	// Output:
	// session 1
	// session 2
}
