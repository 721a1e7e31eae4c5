package transport

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"
)

// trace learns from the base how far a try got. There is none until the base
// asks the try's context for the hooks, as net/http does.
type trace struct {
	value      any // what the base gets: the hooks, with the caller's own composed in
	wroteHead  atomic.Bool
	firstBytes atomic.Bool
}

// tracing returns the try's trace, made when first asked for.
func (a *attempt) tracing() *trace {
	if t := a.trace.Load(); t != nil {
		return t
	}
	t := new(trace)
	t.value = httptrace.WithClientTrace(a.parent, &httptrace.ClientTrace{
		WroteHeaders:         func() { t.wroteHead.Store(true) },
		GotFirstResponseByte: func() { t.firstBytes.Store(true) },
	}).Value(traceKey)
	a.trace.CompareAndSwap(nil, t)
	return a.trace.Load()
}

// unsent reports whether it is certain that no complete request header left.
func (a *attempt) unsent() bool {
	t := a.trace.Load()
	return t != nil && !t.wroteHead.Load()
}

// answered reports whether the peer had begun to answer.
func (a *attempt) answered() bool {
	t := a.trace.Load()
	return t != nil && t.firstBytes.Load()
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
