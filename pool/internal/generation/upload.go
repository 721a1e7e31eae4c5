package generation

import (
	"errors"
	"io"
	"sync"
)

// upload is a request body that the caller cannot give again. Over HTTP/2
// net/http closes the body when it finds that the connection it had chosen takes
// no more streams, though nothing was read; the next connection would get a
// closed body. So a close before the first read waits for the round trip to end.
type upload struct {
	body io.ReadCloser

	mu      sync.Mutex
	read    bool
	shut    bool // closed before it was read
	settled bool // no other connection will be tried
}

var errReplay = errors.New("the request body was read and cannot be sent again")

func (u *upload) Read(p []byte) (int, error) {
	u.mu.Lock()
	u.read = true
	u.mu.Unlock()
	return u.body.Read(p)
}

func (u *upload) Close() error {
	u.mu.Lock()
	u.shut = !u.read && !u.settled
	wait := u.shut
	u.mu.Unlock()
	if wait {
		return nil
	}
	return u.body.Close()
}

// again is the GetBody of the request.
func (u *upload) again() (io.ReadCloser, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.read {
		return nil, errReplay
	}
	u.shut = false
	return u, nil
}

// settle ends the wait.
func (u *upload) settle() {
	if u == nil {
		return
	}
	u.mu.Lock()
	shut := u.shut
	u.shut, u.settled = false, true
	u.mu.Unlock()
	if shut {
		_ = u.body.Close()
	}
}
