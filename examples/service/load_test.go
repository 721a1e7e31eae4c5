//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// load is what customers got while something happened.
type load struct {
	bench *bench

	mu sync.Mutex
	// Guarded by mu:
	offered, answered int
	unknown           map[string]struct{} // orders that may have been placed or not
	placed            map[string]struct{}
	lost              []string
}

// survive has customers call while play runs and for some answers more. The test
// fails if one of them got none.
func (b *bench) survive(t *testing.T, fault string, call, play func(*load)) *load {
	t.Helper()
	l := &load{bench: b, unknown: make(map[string]struct{}), placed: make(map[string]struct{})}
	before := b.repeated.Load()
	ctx, cancel := context.WithCancel(t.Context())
	var customers sync.WaitGroup
	defer customers.Wait()
	defer cancel()
	for range 8 {
		customers.Go(func() {
			for demo.Sleep(ctx, rand.N(8*time.Millisecond)) {
				call(l)
			}
		})
	}
	l.more(t)
	play(l)
	l.more(t)
	cancel()
	customers.Wait()
	t.Logf("fault: %-42s offered %4d  answered %4d  repeated %3d  lost %d",
		"service: "+fault, l.offered, l.answered, b.repeated.Load()-before, len(l.lost))
	require.Empty(t, l.lost)
	require.Equal(t, l.offered, l.answered+len(l.unknown))
	return l
}

// more waits for some more answers.
func (l *load) more(t *testing.T) {
	t.Helper()
	const enough = 100
	wanted := l.answers() + enough
	require.Eventually(t, func() bool { return l.answers() >= wanted }, patience, time.Millisecond, "nobody is answered")
}

func (l *load) answers() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answered + len(l.lost)
}

// doubtful reports whether so many orders are of unknown fate that some of them were
// placed, and some were not.
func (l *load) doubtful() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.unknown) >= 20
}

// look asks for a product.
func (l *load) look() {
	r, err := l.bench.ask(http.MethodGet, fmt.Sprintf("%s/products/%d", l.bench.url, rand.N(1000)), nil)
	l.note(r, err)
}

// buy orders one, with a key or without.
func (l *load) buy(key string) {
	r, err := l.bench.ask(http.MethodPost, fmt.Sprintf("%s/products/%d/orders", l.bench.url, rand.N(1000)), keyed(key))
	l.note(r, err)
}

func (l *load) note(r reply, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.offered++
	order := strings.TrimPrefix(r.header.Get("Location"), "/orders/")
	switch {
	case err != nil:
		l.lost = append(l.lost, err.Error())
	case r.status == http.StatusOK:
		l.answered++
	case r.status == http.StatusCreated:
		l.answered++
		l.placed[order] = struct{}{}
	case r.status == http.StatusConflict:
		l.unknown[order] = struct{}{}
	default:
		l.lost = append(l.lost, fmt.Sprint(r.status, ": ", r.body))
	}
}
