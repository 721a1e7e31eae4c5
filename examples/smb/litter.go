package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/cloudsoda/go-smb2"
)

// sweepTime is for how long it is tried to remove what calls have left behind.
const sweepTime = 5 * time.Second

// attempt is a try to write.
type attempt struct {
	temp     string
	renaming bool // the server was asked to rename temp, and has not answered
}

// litter are temporary files of calls that have ended. They are removed by one
// goroutine, which is there as long as there are any.
type litter struct {
	remove func(context.Context, []attempt)
	life   context.Context // of remove
	cut    context.CancelFunc

	mu sync.Mutex
	// Guarded by mu:
	left   []attempt
	over   chan struct{} // closed when the goroutine ends; nil when there is none
	closed bool
}

func newLitter(remove func(context.Context, []attempt)) *litter {
	l := &litter{remove: remove}
	l.life, l.cut = context.WithCancel(context.Background())
	return l
}

// add has files removed, and waits for nothing.
func (l *litter) add(files []attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(files) == 0 {
		return
	}
	l.left = append(l.left, files...)
	if l.over == nil {
		l.over = make(chan struct{})
		go l.sweep(l.over)
	}
}

func (l *litter) sweep(over chan struct{}) {
	defer close(over)
	for files := l.take(); len(files) > 0; files = l.take() {
		ctx, cancel := context.WithTimeout(l.life, sweepTime)
		l.remove(ctx, files)
		cancel()
	}
}

// take returns all that there is. After nothing the goroutine must end.
func (l *litter) take() []attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	files := l.left
	l.left = nil
	if len(files) == 0 {
		l.over = nil
	}
	return files
}

// close takes no more, and waits until what there is was tried, which is cut when
// ctx ends.
func (l *litter) close(ctx context.Context) {
	l.mu.Lock()
	l.closed = true
	over := l.over
	l.mu.Unlock()
	stop := context.AfterFunc(ctx, l.cut)
	defer stop()
	if over != nil {
		<-over
	}
	l.cut()
}

// forget removes what attempts have left behind, and returns those of which that
// is not known to be gone, with what was in the way.
func forget(share *smb2.Share, attempts []attempt) (left []attempt, err error) {
	for _, a := range attempts {
		if e := a.forget(share); e != nil {
			left, err = append(left, a), errors.Join(err, e)
		}
	}
	return left, err
}

var errStays = errors.New("it is there after it was removed")

// forget returns nil once the temporary file is gone, so that a rename that a slow
// server still has in hand finds nothing. One that has opened the file holds it: it
// is gone when that is done.
func (a attempt) forget(share *smb2.Share) error {
	err := share.Remove(a.temp)
	if err == nil && a.renaming {
		if _, err = share.Lstat(a.temp); err == nil {
			err = &os.PathError{Op: "remove", Path: a.temp, Err: errStays}
		}
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
