package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// patience is the time of one call, all of its tries included.
const patience = 20 * time.Second

var errWrong = errors.New("wrong answer")

// load is users of a share. Each has a few files, and knows what is in them.
type load struct {
	files  *Files
	ledger *ledger
}

// run has so many users work until ctx ends; calls under way are finished.
func (l *load) run(ctx context.Context, users int) {
	var wg sync.WaitGroup
	for u := range users {
		wg.Go(func() {
			for n := 0; demo.Sleep(ctx, rand.N(4*time.Millisecond)); n++ {
				l.round(fmt.Sprintf("user%d-%d", u, n%4), n)
			}
		})
	}
	wg.Wait()
}

// round writes a file, reads it, now and then looks for it and removes it.
func (l *load) round(name string, n int) {
	data := content(name, n)
	if l.call(func(ctx context.Context) error { return l.files.Write(ctx, name, data) }) != nil {
		return
	}
	_ = l.call(func(ctx context.Context) error { return l.expect(ctx, name, data) })
	if n%8 == 0 {
		_ = l.call(func(ctx context.Context) error { return l.find(ctx, name) })
	}
	if n%16 == 0 {
		_ = l.call(func(ctx context.Context) error { return l.files.Remove(ctx, name) })
	}
}

// call makes a call with a context of its own: the end of the load cuts none.
func (l *load) call(f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return l.ledger.enter(func() error { return f(ctx) })
}

func (l *load) expect(ctx context.Context, name string, want []byte) error {
	got, err := l.files.Read(ctx, name)
	if err == nil && !bytes.Equal(got, want) {
		return fmt.Errorf("%s: %w: %d bytes that are not the %d written last", name, errWrong, len(got), len(want))
	}
	return err
}

func (l *load) find(ctx context.Context, name string) error {
	names, err := l.files.List(ctx, "")
	if err == nil && !slices.Contains(names, name) {
		return fmt.Errorf("%s: %w: not among %v", name, errWrong, names)
	}
	return err
}

// content is up to 128 KiB that no other file has, nor this one at another time.
func content(name string, n int) []byte {
	line := fmt.Appendf(nil, "%s %d\n", name, n)
	return bytes.Repeat(line, 1+(n*977)%(128<<10)/len(line))
}
