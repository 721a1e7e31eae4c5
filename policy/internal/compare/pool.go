package compare

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// pool is a line before a fixed number of connections, first come, first
// served. Who gives up leaves the line; a connection is kept to the end.
type pool struct {
	mu sync.Mutex
	// Guarded by mu:
	free    int
	line    list.List // of chan struct{}, closed when its owner has a connection
	factor  float64
	stopped bool
}

func newPool(connections int) *pool { return &pool{free: connections, factor: 1} }

func (p *pool) serve(ctx context.Context, work time.Duration) bool {
	if !p.take(ctx) {
		return false
	}
	defer p.giveBack()
	p.mu.Lock()
	stopped, took := p.stopped, time.Duration(float64(work)*p.factor)
	p.mu.Unlock()
	if stopped {
		return false
	}
	time.Sleep(took)
	return true
}

// burden costs no connection.
func (*pool) burden(time.Duration) {}

func (p *pool) slow(factor float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.factor = factor
}

func (p *pool) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
}

func (p *pool) take(ctx context.Context) bool {
	p.mu.Lock()
	if p.free > 0 {
		p.free--
		p.mu.Unlock()
		return true
	}
	turn := make(chan struct{})
	place := p.line.PushBack(turn)
	p.mu.Unlock()

	select {
	case <-turn:
		return true
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-turn: // at the same moment
		return true
	default:
		p.line.Remove(place)
		return false
	}
}

func (p *pool) giveBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if first := p.line.Front(); first != nil {
		close(p.line.Remove(first).(chan struct{}))
		return
	}
	p.free++
}
