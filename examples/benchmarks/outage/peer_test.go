package outage

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// The peer takes serviceTime when it is well, and failTime to answer with 503.
const (
	serviceTime = 5 * time.Millisecond
	failTime    = time.Millisecond
)

// fault is what a try meets while the peer is out.
type fault func(*http.Request) (*http.Response, error)

func unavailable(req *http.Request) (*http.Response, error) {
	return after(req, failTime, http.StatusServiceUnavailable)
}

func refused(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

func hanging(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, context.Cause(req.Context())
}

// upstream is the base RoundTripper: a peer that meets fault while out says so.
type upstream struct {
	fault  fault
	out    func(*http.Request) bool
	tries  atomic.Int64 // all
	failed atomic.Int64 // those that met the fault
}

func (u *upstream) RoundTrip(req *http.Request) (*http.Response, error) {
	u.tries.Add(1)
	if u.out(req) {
		u.failed.Add(1)
		return u.fault(req)
	}
	return after(req, serviceTime, http.StatusOK)
}

func after(req *http.Request, d time.Duration, status int) (*http.Response, error) {
	select {
	case <-time.After(d):
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	case <-req.Context().Done():
		return nil, context.Cause(req.Context())
	}
}

// between is out from one moment to another.
func between(from, to time.Time) func(*http.Request) bool {
	return func(*http.Request) bool {
		now := time.Now()
		return !now.Before(from) && now.Before(to)
	}
}

// some is out for a share of the tries, drawn anew for each try of each call:
// the same for every client that makes the same calls.
func some(share float64, seed uint64) func(*http.Request) bool {
	return func(req *http.Request) bool {
		c := req.Context().Value(callKey{}).(*numbered)
		return rand.New(rand.NewPCG(seed, c.number<<8|c.tries.Add(1))).Float64() < share
	}
}

// numbered is a call as the peer knows it again.
type numbered struct {
	number uint64
	tries  atomic.Uint64
}

type callKey struct{}
