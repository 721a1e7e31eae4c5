package redislimit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/magnetar-go/magnetar/policy"
)

// fault is why Redis gave no answer, in words that may reach a client. What
// go-redis said may name addresses, and is kept behind Unwrap.
type fault struct {
	says  string
	cause error
	// verdict is what it says about Redis: Failure, or Success for what concerns a
	// single key.
	verdict policy.Outcome
	late    bool // there was no time left
	undone  bool // Redis has surely not done what it was asked
}

func (f *fault) Error() string { return "redis: " + f.says }

func (f *fault) Unwrap() error { return f.cause }

// Timeout is what net.Error asks.
func (f *fault) Timeout() bool { return f.late }

var (
	errTimeout  = &fault{says: "no answer in time", verdict: policy.Failure, late: true}
	errDeadline = &fault{says: "no answer before the caller's deadline", cause: context.DeadlineExceeded, late: true}
	errSlow     = &fault{says: "its answers are slow", verdict: policy.Failure}
	errGone     = &fault{says: "its client ended the goroutine", verdict: policy.Failure}
	errReply    = &fault{says: "an answer that our script does not give", verdict: policy.Failure}
)

// notAsked is why Redis is not asked since.
func notAsked(f *fault) *fault {
	return &fault{says: "not asked again yet, for: " + f.says, cause: f}
}

// answers are the errors that Redis answers with, by their first word.
var answers = []struct{ code, says string }{
	{"READONLY", "READONLY: a replica answered, which must not be written to"},
	{"LOADING", "LOADING: it is still loading its data"},
	{"OOM", "OOM: it has no memory left"},
	{"MOVED", "MOVED: it is part of a cluster, which needs a cluster's client"},
	{"ASK", "ASK: it is part of a cluster, which needs a cluster's client"},
	{"CLUSTERDOWN", "CLUSTERDOWN: the cluster is down"},
	{"CROSSSLOT", "CROSSSLOT: the cluster does not know where the key belongs"},
	{"TRYAGAIN", "TRYAGAIN: the cluster moves the key"},
	{"MASTERDOWN", "MASTERDOWN: the replica has lost its master"},
	{"NOREPLICAS", "NOREPLICAS: it has too few replicas to write"},
	{"MISCONF", "MISCONF: it cannot save, and refuses to write"},
	{"BUSY", "BUSY: it is busy with another script"},
	{"NOSCRIPT", "NOSCRIPT: it does not keep our script"},
	{"NOAUTH", "NOAUTH: it wants a password"},
	{"WRONGPASS", "WRONGPASS: it does not take our password"},
	{"NOPERM", "NOPERM: it does not let us run the script"},
}

const wrongType = "WRONGTYPE"

// faultOf is err in words of ours.
func faultOf(err error) *fault {
	if f, ok := errors.AsType[*fault](err); ok {
		return f
	}
	f := &fault{says: "no connection", cause: plain(err), verdict: policy.Failure}
	dial, isOp := errors.AsType[*net.OpError](err)
	f.undone = isOp && dial.Op == "dial"
	answered, isAnswer := errors.AsType[redis.Error](err)
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case isAnswer:
		f.says, f.verdict = saysOf(answered)
		f.undone = true
	case errors.Is(err, context.DeadlineExceeded), isNet && timeout.Timeout():
		f.says, f.late = errTimeout.says, true
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		f.says, f.undone = "none of the client's connections is free", true
	case errors.Is(err, redis.ErrClosed):
		f.says, f.undone = "the client is closed", true
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		f.says = "the connection broke"
	}
	return f
}

// plain is err without what it would mean to policies: that the client's own
// dialer was refused, by a breaker of the user's, is no refusal of ours.
func plain(err error) error {
	_, ofThePolicies := errors.AsType[*policy.Error](err)
	if ofThePolicies || policy.IsTransient(err) || policy.IsPermanent(err) {
		return errors.New(err.Error())
	}
	return err
}

// saysOf is what an answer of Redis says, and what that says about Redis.
func saysOf(err redis.Error) (string, policy.Outcome) {
	code := codeOf(err.Error())
	if code == wrongType {
		return "WRONGTYPE: somebody else's value is where a limit should be", policy.Success
	}
	for _, a := range answers {
		if code == a.code {
			return a.says, policy.Failure
		}
	}
	return "it answered with an error", policy.Failure
}

// codeOf is the first word of an error that Redis answers with. Before version 7,
// what went wrong within a script stands behind its last line number, and some of
// it behind a dash.
func codeOf(text string) string {
	const source = "@user_script:"
	if at := strings.LastIndex(text, source); at >= 0 && strings.HasPrefix(text, "ERR Error running script") {
		_, inner, _ := strings.Cut(text[at+len(source):], ": ")
		text = strings.TrimPrefix(inner, "-")
	}
	code, _, _ := strings.Cut(text, " ")
	return code
}

// noScript reports whether Redis does not know the script yet.
func noScript(err error) bool {
	answered, ok := errors.AsType[redis.Error](err)
	return ok && codeOf(answered.Error()) == "NOSCRIPT"
}

// panicked is what a hook of the user's did to us.
func panicked(v any) *fault {
	return &fault{says: "its client panicked", cause: fmt.Errorf("panic: %v", v), verdict: policy.Failure}
}
