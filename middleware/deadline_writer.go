package middleware

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// overseer is the ResponseWriter of a request with a deadline. Once that has
// passed, nothing more goes through.
type overseer struct {
	rw      http.ResponseWriter
	ctx     context.Context
	overrun *policy.Error

	begun    bool // the answer is
	cut      bool // it went on when time was up
	hijacked bool
}

// late reports whether the deadline passed, rather than the client went away.
func (o *overseer) late() bool {
	return o.ctx.Err() != nil && context.Cause(o.ctx) == error(o.overrun)
}

// begin lets the answer begin or go on, while there is time.
func (o *overseer) begin() error {
	if o.late() {
		o.cut = true
		return o.overrun
	}
	o.begun = true
	return nil
}

// wrote notes an answer that was going on when time was up: what has failed to
// come from the handler's source is missing as well.
func (o *overseer) wrote(err error) {
	if err != nil && o.late() {
		o.cut = true
	}
}

func (o *overseer) Unwrap() http.ResponseWriter { return o.rw }
func (o *overseer) Header() http.Header         { return o.rw.Header() }

func (o *overseer) WriteHeader(status int) {
	if o.late() {
		return
	}
	o.begun = o.begun || status >= http.StatusOK || status == http.StatusSwitchingProtocols
	o.rw.WriteHeader(status)
}

func (o *overseer) Write(p []byte) (int, error) {
	if err := o.begin(); err != nil {
		return 0, err
	}
	n, err := o.rw.Write(p)
	o.wrote(err)
	return n, err
}

func (o *overseer) WriteString(s string) (int, error) {
	if err := o.begin(); err != nil {
		return 0, err
	}
	n, err := io.WriteString(o.rw, s)
	o.wrote(err)
	return n, err
}

func (o *overseer) readFrom(src io.Reader) (int64, error) {
	if err := o.begin(); err != nil {
		return 0, err
	}
	n, err := o.rw.(io.ReaderFrom).ReadFrom(src)
	o.wrote(err)
	return n, err
}

// flush lets go of what was written in time, but begins no answer.
func (o *overseer) flush() error {
	if !o.begun {
		if o.late() {
			return o.overrun
		}
		o.begun = true
	}
	return http.NewResponseController(o.rw).Flush()
}

func (o *overseer) hijack() (net.Conn, *bufio.ReadWriter, error) {
	if o.late() {
		return nil, nil, o.overrun
	}
	conn, rw, err := o.rw.(http.Hijacker).Hijack()
	o.hijacked = err == nil
	return conn, rw, err
}

func (o *overseer) push(target string, opts *http.PushOptions) error {
	return o.rw.(http.Pusher).Push(target, opts)
}

// overran is the cause of a context whose deadline has passed.
func overran(d time.Duration) *policy.Error {
	return &policy.Error{Reason: policy.ReasonOverrun, Policy: policy.PolicyDeadline, Err: allowed(d)}
}

// allowed is the time that was not enough. It unwraps to the deadline's own
// error, so that to gates and retries of the handler's calls it is what it is:
// the end of their caller's time.
type allowed time.Duration

func (a allowed) Error() string { return "no answer within " + time.Duration(a).String() }
func (a allowed) Unwrap() error { return context.DeadlineExceeded }
