package otel

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

// frames makes a frame for all viewers together.
type frames struct {
	mu sync.Mutex
	// Guarded by mu:
	text   []byte        // the last, in JSON; only to be read
	good   time.Time     // until then it is good enough
	stale  time.Time     // from then on it is none
	period time.Duration // from one to the next, at least
	making chan struct{} // closed when the next is made; nil: nobody makes one
}

// frameCost bounds what frames take of a processor, where there is very much to
// look at: to one part in so many.
const frameCost = 50

// frameStale is how much older than it is to be a frame may be where the next
// takes long.
const frameStale = 3 * time.Second

// frame returns what is to be seen now; nil if ctx ends before. What is watched
// is somebody's code, so while it runs nothing is locked, and those who come
// meanwhile get the frame before, if that is not too old, or wait.
func (c *Console) frame(ctx context.Context) []byte {
	f := &c.frames
	for {
		text, making := f.current(time.Now())
		switch {
		case text != nil:
			return text
		case making == nil:
			return c.render()
		}
		select {
		case <-making:
		case <-ctx.Done():
			return nil
		}
	}
}

// current returns the last frame if it will do, or what to wait for. If it
// returns neither, the caller is to make the next.
func (f *frames) current(now time.Time) (text []byte, making chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.text != nil && (now.Before(f.good) || f.making != nil && now.Before(f.stale)):
		return f.text, nil
	case f.making == nil:
		f.making = make(chan struct{})
		return nil, nil
	}
	return nil, f.making
}

func (c *Console) render() (text []byte) {
	began := time.Now()
	defer func() { c.frames.made(text, began) }()
	now := c.look(began)
	now.Every = ms(c.frames.every())
	text, err := json.Marshal(now)
	if err != nil {
		panic(err) // there is nothing in a frame that cannot be marshalled
	}
	return text
}

// every is the period, as far as it is known.
func (f *frames) every() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return max(framePeriod, f.period)
}

func (f *frames) made(text []byte, began time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if text != nil {
		f.period = max(framePeriod, frameCost*time.Since(began))
		f.text, f.good = text, began.Add(f.period-framePeriod/2)
		f.stale = f.good.Add(frameStale)
	}
	close(f.making)
	f.making = nil
}
