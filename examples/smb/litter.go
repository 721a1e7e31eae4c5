package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/cloudsoda/go-smb2"

	"github.com/magnetar-go/magnetar/policy"
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
	quiet  chan struct{} // closed once closed and nobody writes

	mu sync.Mutex
	// Guarded by mu:
	left    []attempt
	over    chan struct{} // closed when the goroutine ends; nil when there is none
	writing int           // calls that may leave something
	closed  bool
}

func newLitter(remove func(context.Context, []attempt)) *litter {
	l := &litter{remove: remove, quiet: make(chan struct{})}
	l.life, l.cut = context.WithCancel(context.Background())
	return l
}

// begin lets a call write, which ends with end; it reports whether it may, which it
// may not once close was called.
func (l *litter) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.writing++
	return true
}

// end has removed what a call leaves behind, and waits for nothing.
func (l *litter) end(files []attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writing--
	if l.closed && l.writing == 0 {
		defer close(l.quiet)
	}
	if len(files) == 0 || l.life.Err() != nil {
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

// close lets nobody begin, and waits until who writes has ended and what there is was
// tried, which is cut when ctx ends.
func (l *litter) close(ctx context.Context) {
	l.mu.Lock()
	if !l.closed && l.writing == 0 {
		close(l.quiet)
	}
	l.closed = true
	l.mu.Unlock()
	stop := context.AfterFunc(ctx, l.cut)
	defer stop()
	select {
	case <-l.quiet:
	case <-ctx.Done():
		l.cut()
	}
	l.mu.Lock()
	over := l.over
	l.mu.Unlock()
	if over != nil {
		<-over
	}
	l.cut()
}

// forget removes what attempts have left behind, and returns those of which that
// is not known to be gone, with what was in the way: first what may pass, since that
// is what decides whether it is tried again.
func forget(share *smb2.Share, attempts []attempt) (left []attempt, err error) {
	var stays error
	for _, a := range attempts {
		switch e := marked(a.forget(share)); {
		case e == nil:
			continue
		case policy.IsPermanent(e):
			stays = errors.Join(stays, e)
		default:
			err = errors.Join(err, e)
		}
		left = append(left, a)
	}
	return left, errors.Join(err, stays)
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
