package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
)

// story is something that happens between the services, in one trace.
type story struct {
	name string
	plot plot
	play func(context.Context, *town) (facts string, err error)
}

// storyTime bounds a story that does not go on.
const storyTime = 30 * time.Second

// tell plays a story in a town of its own, and returns when its spans have
// arrived.
func tell(ctx context.Context, t *telemetry, s story) (told, error) {
	tn, err := openTown(ctx, t, s.plot)
	if err != nil {
		return told{}, err
	}
	defer tn.close()
	result, err := tn.play(ctx, s)
	if err != nil {
		return told{}, fmt.Errorf("%s: %w", s.name, err)
	}
	tn.close() // what the pools still have to say belongs to the story
	if err := t.flush(ctx, result.trace); err != nil {
		return told{}, err
	}
	result.aside = t.sent.causedBy(result.trace)
	return result, nil
}

// play has the customer begin the trace.
func (t *town) play(ctx context.Context, s story) (told, error) {
	ctx, cancel := context.WithTimeout(ctx, storyTime)
	defer cancel()
	ctx, span := t.telemetry.providers[customer].Tracer("examples/jaeger").Start(withBaggage(ctx), s.name)
	defer span.End()
	facts, err := s.play(ctx, t)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		return told{}, err
	}
	return told{story: s.name, facts: facts, trace: span.SpanContext().TraceID(), town: t}, nil
}

// withBaggage is what the customer gives to all who work for it.
func withBaggage(ctx context.Context) context.Context {
	b, err := baggage.Parse(theBaggage)
	if err != nil {
		panic(err) // it is a constant
	}
	return baggage.ContextWithBaggage(ctx, b)
}

const theBaggage = "customer=anna,basket=4711"

// checkout has the customer order so many items, and says if that does not end as
// it should.
func (t *town) checkout(ctx context.Context, items, want int) (reply, error) {
	r := get(ctx, t.customer, at(shop, "/checkout/"+strconv.Itoa(items)))
	switch {
	case ctx.Err() != nil:
		return r, context.Cause(ctx)
	case r.status != want:
		return r, fmt.Errorf("the shop answered %d, not %d", r.status, want)
	}
	return r, nil
}
