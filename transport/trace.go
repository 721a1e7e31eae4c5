package transport

import (
	"context"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
)

// trace learns from the base how far a try got. It costs nothing until the base
// asks its context for the hooks, as net/http does.
type trace struct {
	hooks      sync.Once
	ctx        context.Context
	asked      atomic.Bool // the base knows httptrace
	wroteHead  atomic.Bool
	firstBytes atomic.Bool
}

// unsent reports whether no complete request header can have left.
func (t *trace) unsent() bool { return t.asked.Load() && !t.wroteHead.Load() }

// answered reports whether the peer had begun to answer.
func (t *trace) answered() bool { return t.firstBytes.Load() }

// value answers for the hooks, with the caller's own composed in.
func (t *trace) value(parent context.Context) any {
	t.hooks.Do(func() {
		t.ctx = httptrace.WithClientTrace(parent, &httptrace.ClientTrace{
			GetConn:              func(string) { t.asked.Store(true) },
			WroteHeaders:         func() { t.wroteHead.Store(true) },
			GotFirstResponseByte: func() { t.firstBytes.Store(true) },
		})
	})
	return t.ctx.Value(traceKey)
}

// traceKey is the key under which net/http looks for the hooks: learned by
// asking it.
var traceKey = func() any {
	var k keyProbe
	httptrace.ContextClientTrace(&k)
	return k.key
}()

type keyProbe struct {
	context.Context
	key any
}

func (p *keyProbe) Value(k any) any {
	p.key = k
	return nil
}
