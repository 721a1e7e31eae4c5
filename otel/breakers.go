package otel

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/policy"
)

// follow keeps track of which breakers are not closed, and returns the span
// that tripped the one that d is of. m is nil where nothing is measured.
func (o *Observer) follow(ctx context.Context, d policy.Decision, m *instruments) trace.SpanContext {
	if d.Policy != policy.PolicyBreaker {
		return trace.SpanContext{}
	}
	if d.Action == policy.ActionOpen {
		o.breakers.opened(ctx, d.Key, m)
		return trace.SpanContext{}
	}
	tripped := o.breakers.tripped(d.Key)
	if d.Action == policy.ActionClose {
		o.breakers.closed(ctx, d.Key)
	}
	return tripped
}

const openMax = 10_000

// openBreakers knows the breakers that are not closed, up to openMax of them;
// beyond it the one that opened first is forgotten.
type openBreakers struct {
	count atomic.Int64 // of byKey, so that it need not be locked while zero

	mu sync.RWMutex
	// Guarded by mu.
	byKey  map[string]*list.Element // of *openBreaker
	oldest list.List                // oldest at the front
}

type openBreaker struct {
	key     string
	tripped trace.SpanContext // valid only if somebody keeps that span
	counted *instruments      // where it was counted, so as to count it out there
}

func (b *openBreakers) any() bool { return b.count.Load() > 0 }

// tripped is the span that tripped the breaker of key, not valid if there is
// none.
func (b *openBreakers) tripped(key string) trace.SpanContext {
	if !b.any() {
		return trace.SpanContext{}
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if e, ok := b.byKey[key]; ok {
		return e.Value.(*openBreaker).tripped
	}
	return trace.SpanContext{}
}

// opened notes that the span in ctx tripped the breaker of key, anew if it was
// not closed. Where neither that span nor a meter is there, nobody would know.
func (b *openBreakers) opened(ctx context.Context, key string, m *instruments) {
	in := openBreaker{key: key}
	if m != nil && m.breakersOpen.Enabled(ctx) {
		in.counted = m
	}
	if sc := trace.SpanContextFromContext(ctx); sc.IsSampled() {
		in.tripped = sc
	}
	if in.counted == nil && !in.tripped.IsValid() {
		b.closed(ctx, key)
		return
	}
	out := b.replace(in)
	out.counted.countBreaker(ctx, -1)
	in.counted.countBreaker(ctx, +1)
}

func (b *openBreakers) closed(ctx context.Context, key string) {
	if !b.any() {
		return
	}
	out := b.remove(key)
	out.counted.countBreaker(ctx, -1)
}

// replace puts in a breaker and returns the one that leaves for it, if any:
// itself as it was, or the oldest.
func (b *openBreakers) replace(in openBreaker) (out openBreaker) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e, ok := b.byKey[in.key]; ok {
		out = b.drop(e)
	} else if len(b.byKey) >= openMax {
		out = b.drop(b.oldest.Front())
	}
	if b.byKey == nil {
		b.byKey = make(map[string]*list.Element)
	}
	b.byKey[in.key] = b.oldest.PushBack(&in)
	b.count.Store(int64(len(b.byKey)))
	return out
}

func (b *openBreakers) remove(key string) openBreaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e, ok := b.byKey[key]; ok {
		return b.drop(e)
	}
	return openBreaker{}
}

// drop requires mu.
func (b *openBreakers) drop(e *list.Element) openBreaker {
	out := b.oldest.Remove(e).(*openBreaker)
	delete(b.byKey, out.key)
	b.count.Store(int64(len(b.byKey)))
	return *out
}

func (m *instruments) countBreaker(ctx context.Context, change int64) {
	if m != nil {
		m.breakersOpen.Add(ctx, change)
	}
}
