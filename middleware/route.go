package middleware

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-chi/chi/v5"
)

// Routes of requests that have none.
const (
	unrouted  = "unrouted"  // no router has looked yet
	unmatched = "unmatched" // a router has looked and found nothing
)

// routes finds the patterns of the routes that requests matched. They are the
// patterns that the routers were given, never a request's path.
type routes struct{ joined joined }

// of returns the route that the request of ctx has matched so far: that of chi,
// whose pattern grows with every router below, else the one that [withPattern]
// noted.
func (rs *routes) of(ctx context.Context) string { return routeOf(ctx, rs.joined.of) }

func routeOf(ctx context.Context, join func(*chi.Context) string) string {
	rctx := chi.RouteContext(ctx)
	if rctx != nil && len(rctx.RoutePatterns) > 0 {
		return join(rctx)
	}
	if p, ok := ctx.Value(patternKey{}).(*patternContext); ok {
		return p.pattern
	}
	// Chi notes the method as it begins to route.
	if rctx != nil && rctx.RouteMethod != "" {
		return unmatched
	}
	return unrouted
}

// withPattern notes the pattern by which a router such as http.ServeMux found r.
func withPattern(ctx context.Context, r *http.Request) context.Context {
	if r.Pattern == "" {
		return ctx
	}
	if rctx := chi.RouteContext(ctx); rctx != nil && len(rctx.RoutePatterns) > 0 {
		return ctx // chi's own, and it is there already
	}
	return &patternContext{Context: ctx, pattern: pathPattern(r.Pattern)}
}

// settled is ctx with the route as it is now, for decisions that are told on
// other goroutines than the one that serves the request: there chi may be using
// its notes again already, for the next.
func settled(ctx context.Context) context.Context {
	if chi.RouteContext(ctx) == nil {
		return ctx
	}
	return &patternContext{Context: ctx, pattern: routeOf(ctx, (*chi.Context).RoutePattern), final: true}
}

// pathPattern is the last part of "[METHOD ][HOST]/[PATH]".
func pathPattern(pattern string) string {
	if i := strings.IndexByte(pattern, '/'); i >= 0 {
		return pattern[i:]
	}
	return pattern
}

// patternContext is a context with a value, in one allocation.
type patternContext struct {
	context.Context

	pattern string
	final   bool // hides what chi notes
}

type patternKey struct{}

func (c *patternContext) Value(key any) any {
	switch {
	case key == (patternKey{}):
		return c
	case c.final && key == chi.RouteCtxKey:
		return nil
	}
	return c.Context.Value(key)
}

// joined remembers the patterns of routers below routers, which chi would join
// anew each time. To look one up takes no lock and allocates nothing.
type joined struct {
	byParts atomic.Pointer[map[parts]string] // a new map for each addition
	adding  sync.Mutex
}

// parts are the patterns of a stack of routers.
type parts [4]string

// joinedMax is far more than there are routes; they are of the program's making.
const joinedMax = 1024

func (j *joined) of(rctx *chi.Context) string {
	var p parts
	if n := len(rctx.RoutePatterns); n == 1 || n > len(p) {
		return rctx.RoutePattern()
	}
	copy(p[:], rctx.RoutePatterns)
	if pattern, ok := j.known()[p]; ok {
		return pattern
	}
	pattern := rctx.RoutePattern()
	j.add(p, pattern)
	return pattern
}

func (j *joined) known() map[parts]string {
	if m := j.byParts.Load(); m != nil {
		return *m
	}
	return nil
}

func (j *joined) add(p parts, pattern string) {
	j.adding.Lock()
	defer j.adding.Unlock()
	if len(j.known()) >= joinedMax {
		return
	}
	known := maps.Clone(j.known())
	if known == nil {
		known = make(map[parts]string)
	}
	known[p] = pattern
	j.byParts.Store(&known)
}
