package compare

import (
	"container/heap"
	"context"
	"math"
	"sync"
	"time"
)

// processor shares its cores equally among all jobs: each of n goes on at
// min(1, cores/n) of full speed. A job once begun runs to its end, whether
// anybody still waits for it or not.
type processor struct {
	cores float64
	timer *time.Timer

	mu sync.Mutex
	// Guarded by mu:
	jobs    jobs
	factor  float64
	done    float64 // seconds of work that a job present all along would have got
	at      time.Time
	stopped bool
}

// job ends when the processor's work per job has come to end.
type job struct {
	end   float64
	ended chan struct{} // nil: nobody waits
}

func newProcessor(cores int) *processor {
	p := &processor{cores: float64(cores), factor: 1, at: time.Now()}
	p.timer = time.AfterFunc(math.MaxInt64, p.tick)
	return p
}

func (p *processor) serve(_ context.Context, work time.Duration) bool {
	ended := make(chan struct{})
	if !p.add(job{ended: ended}, work) {
		return false
	}
	<-ended
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.stopped
}

func (p *processor) burden(work time.Duration) { p.add(job{}, work) }

func (p *processor) slow(factor float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance()
	p.factor = factor
	p.rearm()
}

func (p *processor) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.timer.Stop()
	for _, j := range p.jobs {
		j.finish()
	}
	p.jobs = nil
}

func (p *processor) add(j job, work time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return false
	}
	p.advance()
	j.end = p.done + work.Seconds()
	heap.Push(&p.jobs, j)
	p.rearm()
	return true
}

func (p *processor) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	const rounding = 1e-11
	p.advance()
	for len(p.jobs) > 0 && p.jobs[0].end <= p.done+rounding {
		heap.Pop(&p.jobs).(job).finish()
	}
	p.rearm()
}

// advance brings done up to date; mu must be held.
func (p *processor) advance() {
	now := time.Now()
	p.done += now.Sub(p.at).Seconds() * p.speed()
	p.at = now
	if len(p.jobs) == 0 {
		p.done = 0
	}
}

// rearm sets the timer to the next end; mu must be held.
func (p *processor) rearm() {
	if len(p.jobs) == 0 || p.stopped {
		p.timer.Stop()
		return
	}
	wait := (p.jobs[0].end - p.done) / p.speed() * float64(time.Second)
	p.timer.Reset(time.Duration(math.Ceil(max(wait, 0))))
}

// speed is how fast each job goes on; mu must be held.
func (p *processor) speed() float64 {
	return min(1, p.cores/float64(max(1, len(p.jobs)))) / p.factor
}

func (j job) finish() {
	if j.ended != nil {
		close(j.ended)
	}
}

// jobs is a heap, the next to end first.
type jobs []job

func (h jobs) Len() int           { return len(h) }
func (h jobs) Less(i, j int) bool { return h[i].end < h[j].end }
func (h jobs) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *jobs) Push(x any)        { *h = append(*h, x.(job)) }

func (h *jobs) Pop() any {
	last := len(*h) - 1
	j := (*h)[last]
	*h = (*h)[:last]
	return j
}
