package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// plan is a load, and what the servers go through meanwhile.
type plan struct {
	rate    int // calls a second
	workers int // so many calls at most are under way
	pool    times
	scenes  []scene
	lasts   time.Duration
}

// times are the pool's, short enough to be watched.
type times struct {
	lifetime  time.Duration // of connections
	refresh   time.Duration // of what DNS says
	ejection  time.Duration // the first
	slowStart time.Duration
}

// scene is something that happens.
type scene struct {
	at   time.Duration
	says string
	does func(context.Context, *fleet) error
}

// The servers by what happens to them.
const (
	steady = iota
	ailing
	leaving
	mortal
)

// theNight is what the servers go through.
var theNight = plan{
	rate:    400,
	workers: 64,
	pool:    times{lifetime: 3 * time.Second, refresh: 500 * time.Millisecond, ejection: 2 * time.Second, slowStart: time.Second},
	scenes: []scene{
		{0, "all four are well", nothing},
		{2500 * time.Millisecond, ".12 turns sick: 503 to all but POST", turnSick},
		{6500 * time.Millisecond, ".12 is well again", turnWell},
		{10 * time.Second, ".13 leaves DNS", leaveDNS},
		{14 * time.Second, ".13 is back in DNS", returnToDNS},
		{15 * time.Second, ".14 is killed", dropDead},
		{16500 * time.Millisecond, ".14 is started again", comeBack},
	},
	lasts: 21 * time.Second,
}

func nothing(context.Context, *fleet) error { return nil }

func turnSick(_ context.Context, f *fleet) error {
	f.servers[ailing].sick.Store(true)
	return nil
}

func turnWell(_ context.Context, f *fleet) error {
	f.servers[ailing].sick.Store(false)
	return nil
}

func leaveDNS(_ context.Context, f *fleet) error {
	f.left = time.Now()
	f.name(f.servers[steady], f.servers[ailing], f.servers[mortal])
	return nil
}

func returnToDNS(_ context.Context, f *fleet) error {
	gone := f.servers[leaving]
	f.stayed, f.drained = gone.conns.Load(), time.Unix(0, gone.emptied.Load()).Sub(f.left)
	f.name(f.servers...)
	return nil
}

func dropDead(_ context.Context, f *fleet) error {
	f.killed = time.Now()
	f.servers[mortal].kill()
	return nil
}

func comeBack(ctx context.Context, f *fleet) error {
	return f.servers[mortal].start(ctx)
}

// faster is the plan in a fraction of its time.
func (p plan) faster(times time.Duration) plan {
	p.lasts /= times
	p.pool.lifetime /= times
	p.pool.refresh /= times
	p.pool.ejection /= times
	p.pool.slowStart /= times
	scenes := make([]scene, len(p.scenes))
	for i, s := range p.scenes {
		s.at /= times
		scenes[i] = s
	}
	p.scenes = scenes
	return p
}

// stage is where the plan has come to.
type stage struct {
	began time.Time
	scene atomic.Pointer[scene]
}

func newStage(p plan) *stage {
	s := &stage{began: time.Now()}
	s.scene.Store(&p.scenes[0])
	return s
}

// play has the scenes of the plan happen, each in its time.
func (s *stage) play(ctx context.Context, p plan, f *fleet) error {
	for i, sc := range p.scenes {
		if !demo.Sleep(ctx, time.Until(s.began.Add(sc.at))) {
			return fmt.Errorf("interrupted when %s: %w", s.scene.Load().says, ctx.Err())
		}
		s.scene.Store(&p.scenes[i])
		if err := sc.does(ctx, f); err != nil {
			return err
		}
	}
	if !demo.Sleep(ctx, time.Until(s.began.Add(p.lasts))) {
		return fmt.Errorf("interrupted when %s: %w", s.scene.Load().says, ctx.Err())
	}
	return nil
}
