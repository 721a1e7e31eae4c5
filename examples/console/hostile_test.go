//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

// hostile is what strangers may send as a host, a path or an error.
var hostile = []string{
	`<img src=x onerror="alert(1)">`,
	`"><script>alert(2)</script>`,
	`'"--></style></script><svg onload=alert(3)>`,
	`</td></tr></table><iframe src="javascript:alert(4)"></iframe>`,
	`<a href="javascript:alert(5)">here</a><style>*{display:none}</style>`,
	"https://\u202emoc.elpmaxe\u202c.test",
	"{{constructor.constructor('alert(6)')()}} __proto__ constructor",
	strings.Repeat("0123456789", 1024),
	"\x00\x1b[2J\r\n" + strings.Repeat("\U0001f4a5", 200),
}

// framed answers with the console's own page, and with the test's frame.
func framed(frame object) http.Handler {
	console := otel.NewConsole()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
			console.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		now := maps.Clone(frame)
		for ticks := time.NewTicker(100 * time.Millisecond); ; {
			now["at"] = time.Now().UnixMilli()
			text, err := json.Marshal(now)
			if err != nil {
				panic(err)
			}
			if _, err := fmt.Fprintf(w, "data: %s\n\n", text); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-ticks.C:
			case <-r.Context().Done():
				return
			}
		}
	})
}

type object = map[string]any

// hostileFrame has the worst in each place of a frame, as if no server had
// looked at it before.
func hostileFrame() object {
	f := object{"started": time.Now().UnixMilli(), "more": object{"breakers": 1}}
	add := func(list string, row object) {
		rows, _ := f[list].([]object)
		f[list] = append(rows, row)
	}
	zeros := make([]int, 60)
	for i, s := range hostile {
		add("traffic", object{"key": s, "tries": zeros, "failed": zeros, "refused": zeros, "mean": zeros, "slowest": zeros})
		add("breakers", object{"key": s, "state": s, "calls": i, "failures": i})
		add("breakers", object{"key": s, "state": "open", "next_trial": 1000})
		add("limits", object{"policy": s, "key": s, "limit": 10, "in_flight": 1e9})
		add("budgets", object{"key": s, "tokens": 1})
		add("pools", object{"key": s, "max": 1, "active": 1})
		add("endpoints", object{"key": s, "endpoint": s, "state": s})
		add("decisions", object{
			"id": i, "at": time.Now().UnixMilli(), "began": 1, "count": 2, "level": s, "policy": s, "action": s, "reason": s,
			"key": s, "endpoint": s, "route": s, "priority": s, "note": s, "error": s, "trace": s, "link": s,
		})
	}
	for i, link := range []string{"javascript:alert(7)", " javascript:alert(7)", "JaVaScRiPt://x/%0aalert(7)", "data:text/html,<script>alert(7)</script>", "//evil.example", "vbscript:x"} {
		add("decisions", object{"id": 1000 + i, "at": 1, "began": 1, "count": 1, "policy": "p", "action": "a", "trace": "4bf9", "link": link})
	}
	return f
}

func TestHostileFrameIsShownAsText(t *testing.T) {
	srv := httptest.NewServer(framed(hostileFrame()))
	defer srv.Close()
	b := open(t, srv.URL+"/")
	defer b.leave()
	b.until(fmt.Sprintf("document.querySelectorAll('#decisions tbody tr').length === %d", len(hostile)+6))
	b.frames(3)
	b.requireHarmless()
	require.Zero(t, look[int](b, "document.links.length"), "nothing in it is a link to http or https")
	text := look[string](b, "document.body.textContent")
	require.Contains(t, text, hostile[0])
	require.Contains(t, text, hostile[1])
	require.Contains(t, text, `https://\u{202e}moc.elpmaxe\u{202c}.test`)
	require.Contains(t, text, "… (10,240 characters)")
	require.Contains(t, text, `\u{0}`)
	b.sized(360, 740)
	b.requireNoOverflow()
	b.requireQuiet(srv.URL + "/")
}

// What a console is told by the kit arrives as harmless as that.
func TestHostileNamesAndErrorsAreShownAsText(t *testing.T) {
	c := otel.NewConsole(otel.WithTraceURL("https://jaeger.example/trace/{trace_id}"))
	statuses := func(yield func(policy.Status) bool) {
		for _, s := range hostile {
			_ = yield(policy.Status{Policy: policy.PolicyBreaker, Key: s, State: "open"}) &&
				yield(policy.Status{Policy: s, Key: s, Limit: 1}) &&
				yield(policy.Status{Policy: policy.PolicyPool, Key: s, Endpoint: s, State: "healthy"})
		}
	}
	defer c.Watch(iter.Seq[policy.Status](statuses))()
	ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled,
	}))
	for _, s := range hostile {
		c.Observe(ctx, policy.Decision{
			Policy: policy.PolicyBreaker, Action: policy.ActionOpen, Key: s, Endpoint: s, Route: s, Note: s, Err: errors.New(s), Began: time.Now(),
		})
	}
	srv := httptest.NewServer(c)
	defer srv.Close()
	b := open(t, srv.URL+"/")
	defer b.leave()
	b.until(fmt.Sprintf("document.querySelectorAll('#decisions tbody tr').length === %d", len(hostile)))
	b.frames(2)
	b.requireHarmless()
	text := look[string](b, "document.body.textContent")
	require.Contains(t, text, hostile[0])
	require.NotContains(t, text, "\u202e")
	links := look[[]string](b, "Array.from(document.links, (a) => a.href + ' ' + a.target + ' ' + a.rel)")
	require.Len(t, links, len(hostile))
	require.Equal(t, "https://jaeger.example/trace/01000000000000000000000000000000 _blank noopener noreferrer", slices.Max(links))
	require.Equal(t, slices.Min(links), slices.Max(links))
	b.requireQuiet(srv.URL + "/")
}

// requireHarmless fails the test if there is an element in the page that the page
// has no use for.
func (b *tab) requireHarmless() {
	b.t.Helper()
	require.Equal(b.t, 1, look[int](b, "document.scripts.length"))
	require.Equal(b.t, 1, look[int](b, "document.styleSheets.length"))
	require.Zero(b.t, look[int](b, "document.querySelectorAll('img, iframe, object, embed, form, style + style, [onerror], [onload], [href^=javascript], svg svg').length"))
	require.False(b.t, look[bool](b, `/[\u202a-\u202e\u2066-\u2069\0\x1b]/.test(document.documentElement.outerHTML)`))
	require.LessOrEqual(b.t, look[int](b, "Math.max(...Array.from(document.querySelectorAll('td, tbody th'), (cell) => cell.textContent.length))"), 4*1200)
}

// requireNoOverflow fails the test if the page is wider than its window.
func (b *tab) requireNoOverflow() {
	b.t.Helper()
	require.LessOrEqual(b.t, look[int](b, "document.documentElement.scrollWidth"), look[int](b, "innerWidth"))
}
