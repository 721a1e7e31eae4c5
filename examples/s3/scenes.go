package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/magnetar-go/magnetar/examples/s3/store"
	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// scene is a fault, and calls that meet it.
type scene struct {
	name  string
	plan  func() func(*http.Request) fault // of the proxy; nil: the server itself is at fault
	play  func(ctx context.Context, s *stage, c *client, t *tally) error
	chain func() transport.Config
}

// Calls of a scene, and of each half of the one under load.
const (
	calls     = 40
	loadCalls = 400
)

const quiet = "none"

// scenes are what no call must be lost in.
var scenes = []scene{
	{
		quiet, func() func(*http.Request) fault { return nil },
		func(ctx context.Context, _ *stage, c *client, t *tally) error {
			t.count(c.multipart(ctx, "parts", 2*partSize+1))
			t.count(c.download(ctx, "parts", 2*partSize+1))
			t.count(c.putLarge(ctx, "large"))
			t.count(c.download(ctx, "large", large))
			return nil
		}, store.Chain,
	},
	{
		"503 SlowDown to every fifth request",
		func() func(*http.Request) fault { return every(5, anything, slowDown) }, putAndGet, store.Chain,
	},
	{
		"reset instead of every fifth answer",
		func() func(*http.Request) fault { return every(5, anything, resetAnswer) }, putAndGet, store.Chain,
	},
	{
		"reset within an upload of 64 MiB",
		func() func(*http.Request) fault { return first(1, method(http.MethodPut), resetUpload(40*mebibyte)) },
		func(ctx context.Context, _ *stage, c *client, t *tally) error {
			t.count(c.putLarge(ctx, "cut"))
			t.count(c.download(ctx, "cut", large))
			return nil
		}, store.Chain,
	},
	{
		"reset within a part of a multipart upload",
		func() func(*http.Request) fault {
			return first(1, contains("partNumber=2"), resetUpload(partSize/2))
		}, multipart, store.Chain,
	},
	{
		"reset instead of the answer to a part",
		func() func(*http.Request) fault { return first(1, contains("partNumber=2"), resetAnswer) }, multipart, store.Chain,
	},
	{
		"resets within a download of 64 MiB",
		func() func(*http.Request) fault { return first(3, method(http.MethodGet), resetBody(20*mebibyte)) },
		func(ctx context.Context, _ *stage, c *client, t *tally) error {
			t.count(c.putLarge(ctx, "resumed"))
			t.count(c.download(ctx, "resumed", large))
			return nil
		}, store.Chain,
	},
	{
		"requests that are never answered",
		func() func(*http.Request) fault { return every(20, anything, stall) }, putAndGet, impatient,
	},
	{
		"a download that falls silent",
		func() func(*http.Request) fault { return first(1, method(http.MethodGet), stallBody(mebibyte)) }, multipart, impatient,
	},
	{"server killed and started again under load", nil, killed, store.Chain},
}

// putAndGet writes and reads small objects in turn.
func putAndGet(ctx context.Context, _ *stage, c *client, t *tally) error {
	for n := range calls / 2 {
		key := fmt.Sprintf("small-%d", n)
		t.count(c.put(ctx, key, small))
		t.count(c.get(ctx, key, small))
	}
	return nil
}

func multipart(ctx context.Context, _ *stage, c *client, t *tally) error {
	const size = 2*partSize + 1
	t.count(c.multipart(ctx, "multipart", size))
	t.count(c.download(ctx, "multipart", size))
	return nil
}

// killed has the server gone until the breaker opens, and calls go on until it
// has closed again.
func killed(ctx context.Context, s *stage, c *client, t *tally) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	loading, stop := context.WithCancel(ctx)
	l := &load{client: c, tally: tally{name: t.name}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.run(loading)
	}()
	err := s.outage(ctx, c.seen, l)
	stop()
	<-ended
	*t = l.tally
	return err
}

func (s *stage) outage(ctx context.Context, seen *events, l *load) error {
	if err := l.reaches(ctx, loadCalls); err != nil {
		return err
	}
	s.kill()
	opened := seen.await(ctx, policy.PolicyBreaker, policy.ActionOpen)
	s.restart()
	if opened != nil {
		return opened
	}
	if err := seen.await(ctx, policy.PolicyBreaker, policy.ActionClose); err != nil {
		return err
	}
	return l.reaches(ctx, 2*loadCalls)
}

// reaches waits until so many calls have been answered.
func (l *load) reaches(ctx context.Context, answered int) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		l.mu.Lock()
		enough := l.tally.answered >= answered
		l.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// play plays a scene with a client of its own, and returns what became of the
// calls.
func (s *stage) play(ctx context.Context, sc scene) (*tally, error) {
	t := &tally{name: sc.name}
	url := s.server
	if sc.plan != nil {
		url = s.proxy.url
		s.proxy.play(sc.plan())
		defer s.proxy.play(nil)
	}
	c, err := s.client(url, sc.chain())
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }() // all calls have ended
	err = sc.play(ctx, s, c, t)
	t.repeated += c.seen.count(policy.PolicyRetry, policy.ActionWait) + int(c.resumed.Load())
	if err != nil {
		return t, fmt.Errorf("%s: %w", sc.name, err)
	}
	return t, nil
}
