package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// upload is the caller's request body for as many tries as it takes: a fresh
// one from GetBody for each retry, or else a copy kept while it is first sent,
// as long as it stays small; a larger one as long as nobody has read of it.
// Nothing is ever read ahead.
type upload struct {
	src     io.ReadCloser
	getBody func() (io.ReadCloser, error)

	mu       sync.Mutex
	sent     []byte // what was read of src, while it may be replayed from here
	begun    bool   // src was read
	tooLarge bool   // for sent
	srcErr   error  // what src ended with
	final    bool   // no retry will come
	closed   bool   // src is
	current  *uploadBody

	own uploadBody // of the first try
}

// replayBytes is how large a body without GetBody may be to be sent again.
const replayBytes = 64 << 10

// releaseTime is how long a retry waits for the try before to let go of the body.
const releaseTime = time.Second

var (
	errBodyTooLarge = errors.New("magnetar: request body without GetBody is over 64 KiB: it cannot be sent again")
	errBodyInUse    = errors.New("magnetar: the try before still reads the request body: it cannot be sent again")
)

func newUpload(req *http.Request) *upload {
	return &upload{src: req.Body, getBody: req.GetBody, tooLarge: req.GetBody == nil && req.ContentLength > replayBytes}
}

// replayable reports whether the body can still be sent again.
func (u *upload) replayable() bool {
	if u.getBody != nil {
		return true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.spent()
}

// spent reports whether some of src is gone for good; under the lock.
func (u *upload) spent() bool { return u.begun && u.tooLarge }

// first is the body of the first try.
func (u *upload) first(a *attempt) *uploadBody {
	b := &u.own
	b.upload, b.attempt = u, a
	if u.getBody != nil {
		b.own = u.src
		u.closed = true // it is b's to close
	}
	u.current = b
	return b
}

// next is the body of a retry.
func (u *upload) next(a *attempt) (*uploadBody, error) {
	b := &uploadBody{upload: u, attempt: a}
	if u.getBody != nil {
		own, err := u.getBody()
		if err != nil {
			return nil, err
		}
		b.own = own
	} else if !u.replayable() {
		return nil, errBodyTooLarge
	}
	return b, nil
}

// await waits until the body of the try before has been closed, for a while
// that any base should keep to. A body of its own can do without.
func (u *upload) await(ctx context.Context, b *uploadBody) error {
	u.mu.Lock()
	before := u.current
	u.current = b
	u.mu.Unlock()
	timer := time.NewTimer(releaseTime)
	defer timer.Stop()
	select {
	case <-before.released():
		if b.own == nil && !u.replayable() { // it grew too large while it was waited for
			return errBodyTooLarge
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		if b.own == nil {
			return errBodyInUse
		}
	}
	return nil
}

// finish closes the caller's body, unless a try that still sends it will.
func (u *upload) finish() {
	u.mu.Lock()
	u.final = true
	free := !u.closed && (u.current == nil || u.current.done)
	u.mu.Unlock()
	if free {
		u.closeSource()
	}
}

func (u *upload) closeSource() error {
	u.mu.Lock()
	was := u.closed
	u.closed = true
	u.mu.Unlock()
	if was {
		return nil
	}
	return u.src.Close()
}

// uploadBody is the request body of one try.
type uploadBody struct {
	upload  *upload
	attempt *attempt
	own     io.ReadCloser // from GetBody; nil: replayed from upload.sent, then src

	// guarded by upload.mu
	offset  int // in upload.sent
	reading bool
	done    bool
	free    chan struct{} // closed when done and nobody reads; nil until asked for
	rest    chan struct{} // closed when nobody reads; nil until asked for
}

func (b *uploadBody) Read(p []byte) (int, error) {
	n, err := b.read(p)
	if n > 0 {
		b.attempt.clock.moved.Store(now())
	}
	return n, err
}

func (b *uploadBody) read(p []byte) (int, error) {
	if b.own != nil {
		return b.own.Read(p)
	}
	u := b.upload
	u.mu.Lock()
	if b.done {
		u.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	}
	if b.offset < len(u.sent) {
		n := copy(p, u.sent[b.offset:])
		b.offset += n
		u.mu.Unlock()
		return n, nil
	}
	if u.srcErr != nil {
		err := u.srcErr
		u.mu.Unlock()
		return 0, err
	}
	b.reading, u.begun = true, true
	u.mu.Unlock()
	n, err := u.src.Read(p)
	b.took(p[:n], err)
	return n, err
}

// took keeps what was read for a retry, also when the try was over meanwhile.
func (b *uploadBody) took(p []byte, err error) {
	u := b.upload
	u.mu.Lock()
	defer u.mu.Unlock()
	b.reading = false
	u.srcErr = err
	if !u.tooLarge && len(u.sent)+len(p) > replayBytes {
		u.tooLarge, u.sent = true, nil
	}
	if !u.tooLarge {
		u.sent = append(u.sent, p...)
		b.offset = len(u.sent)
	}
	if b.done && b.free != nil {
		close(b.free)
		b.free = nil
	}
	if b.rest != nil {
		close(b.rest)
		b.rest = nil
	}
}

// rests waits, for a while, until no Read of the only copy is under way, and
// tells why the body could not be sent again.
func (b *uploadBody) rests(ctx context.Context) error {
	b.upload.mu.Lock()
	if b.reading {
		b.rest = make(chan struct{})
	}
	rest := b.rest
	b.upload.mu.Unlock()
	if rest != nil {
		timer := time.NewTimer(releaseTime)
		defer timer.Stop()
		select {
		case <-rest:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
			return errBodyInUse
		}
	}
	if !b.upload.replayable() {
		return errBodyTooLarge
	}
	return nil
}

// Close ends the try's hold on the body. The caller's own is closed only when
// no retry can want it.
func (b *uploadBody) Close() error {
	u := b.upload
	u.mu.Lock()
	if b.done {
		u.mu.Unlock()
		return nil
	}
	b.done = true
	if b.free != nil && !b.reading {
		close(b.free)
		b.free = nil
	}
	last := u.final || u.spent()
	u.mu.Unlock()
	if b.own != nil {
		return b.own.Close()
	}
	if last {
		return u.closeSource()
	}
	return nil
}

// cut ends a Read that stalls, for net/http's HTTP/1 waits for it even when its
// context has ended. A source that was cut cannot be read again.
func (b *uploadBody) cut() {
	stalled := b.stalled()
	b.Close()
	if !stalled {
		return
	}
	b.upload.mu.Lock()
	b.upload.tooLarge, b.upload.sent = true, nil
	b.upload.mu.Unlock()
	b.upload.closeSource()
}

// sending is the request body that the try sends now: net/http may have made it
// anew.
func (a *attempt) sending() *uploadBody {
	u := a.call.upload
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.current != nil && u.current.attempt == a {
		return u.current
	}
	return a.upload
}

// stalled reports whether the try waits for the only copy of the body.
func (b *uploadBody) stalled() bool {
	b.upload.mu.Lock()
	defer b.upload.mu.Unlock()
	return b.own == nil && b.reading
}

// released is closed when the try no longer reads the body.
func (b *uploadBody) released() <-chan struct{} {
	b.upload.mu.Lock()
	defer b.upload.mu.Unlock()
	free := make(chan struct{})
	if b.done && !b.reading {
		close(free)
	} else {
		b.free = free
	}
	return free
}

// again is GetBody for net/http's own replays, after a connection was lost
// before anything was answered. net/http has closed the body before.
func (b *uploadBody) again() (io.ReadCloser, error) {
	if b.stalled() {
		return nil, errBodyInUse
	}
	next, err := b.upload.next(b.attempt)
	if err != nil {
		return nil, err
	}
	b.upload.mu.Lock()
	b.upload.current = next
	b.upload.mu.Unlock()
	return next, nil
}
