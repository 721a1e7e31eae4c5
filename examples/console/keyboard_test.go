//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/policy"
)

// focused describes the element that has the focus, and whether that is visible.
const focused = `(() => {
	const e = document.activeElement, s = getComputedStyle(e);
	const visible = s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2 && e.getClientRects().length > 0;
	return (e.id || e.closest('section')?.id + ' ' + e.tagName.toLowerCase()) + (visible ? '' : ' INVISIBLE');
})()`

func TestTabReachesEverythingInOrderAndVisibly(t *testing.T) {
	s := openShop(t)
	b := open(t, s.url)
	b.until("document.links.length > 0")
	b.typed("p") // the order of what changes cannot be told
	links := look[int](b, "document.links.length")
	var order []string
	for range 60 + links {
		b.keys(kb.Tab)
		at := look[string](b, focused)
		if strings.HasPrefix(at, "undefined body") { // past the last
			break
		}
		require.NotContains(t, at, "INVISIBLE")
		if len(order) == 0 || order[len(order)-1] != at {
			order = append(order, at)
		}
	}
	order = slices.DeleteFunc(order, func(at string) bool { return strings.HasSuffix(at, " div") }) // boxes that scroll
	require.Equal(t, []string{
		"filter", "pause", "help", "traffic summary", "breakers summary", "limits summary", "endpoints summary",
		"pools summary", "budgets summary", "decisions summary", "decisions a",
	}, order)
	b.keys(kb.Tab)
	require.NotContains(t, look[string](b, focused), "decisions a", "no trap")
}

func TestKeysFilterPauseAndHelp(t *testing.T) {
	s := openShop(t)
	b := open(t, s.url)
	const shown = "document.querySelectorAll('#endpoints tbody tr:not([hidden])').length"
	b.until(shown + " === 3 && document.querySelectorAll('#breakers tbody tr').length === 2")

	b.typed("/")
	require.Equal(t, "filter", look[string](b, "document.activeElement.id"))
	b.typed("127.0.0.12 SEARCH p?")
	require.Equal(t, "127.0.0.12 SEARCH p?", look[string](b, "document.querySelector('#filter').value"), "keys are text here")
	b.until(shown + " === 0")
	for range " p?" {
		b.keys(kb.Backspace)
	}
	b.until(shown + " === 1")
	require.Contains(t, look[string](b, "document.querySelector('#endpoints .count').textContent"), ", 1 shown")
	require.Equal(t, 1, look[int](b, "document.querySelectorAll('#traffic tbody tr:first-child:not([hidden])').length"), "the sum stays")
	b.keys(kb.Escape)
	b.until(shown + " === 3")
	require.Empty(t, look[string](b, "document.querySelector('#filter').value"))

	b.typed("p")
	require.Equal(t, "true", look[string](b, "document.querySelector('#pause').ariaPressed"))
	b.until("document.querySelector('#summary').textContent.includes('paused')")
	before := look[string](b, "document.querySelector('#at').dateTime")
	s.console.Observe(t.Context(), policy.Decision{Policy: policy.PolicyPool, Action: policy.ActionRotate, Note: "unseen", Began: time.Now()})
	b.until("/as of ([2-9]|\\d\\d) s ago/.test(document.querySelector('#summary').textContent)") // more frames have come
	require.Equal(t, before, look[string](b, "document.querySelector('#at').dateTime"))
	require.NotContains(t, look[string](b, "document.querySelector('#decisions').textContent"), "unseen")
	b.typed("p")
	b.until("document.querySelector('#decisions').textContent.includes('unseen')")
	require.NotContains(t, look[string](b, "document.querySelector('#summary').textContent"), "paused")

	b.typed("?")
	b.until("document.querySelector('#keys').open")
	require.True(t, look[bool](b, "document.querySelector('#keys').contains(document.activeElement)"))
	b.keys(kb.Escape)
	b.until("!document.querySelector('#keys').open")
	b.requireQuiet(s.url)
}

// Rows come, go and change places around what is being read.
func TestFocusAndSelectionSurviveFrames(t *testing.T) {
	s := openShop(t)
	for _, note := range []string{"first", "second", "third"} {
		s.rotated(note)
	}
	b := open(t, s.url)
	const rows = "[...document.querySelectorAll('#decisions tbody tr')]"
	b.until(rows + ".some((r) => r.textContent.includes('third'))")
	b.do(chromedp.Evaluate[chromedp.Void](`(() => {
		const row = (text) => ` + rows + `.find((r) => r.textContent.includes(text));
		window.kept = row('first').querySelector('a');
		kept.focus();
		window.cell = row('second').querySelector('td:nth-child(3)');
		getSelection().selectAllChildren(cell);
	})()`))
	selected := look[string](b, "getSelection().toString()")
	require.Contains(t, selected, "pool.rotate")
	for _, note := range []string{"fourth", "first", "second", "third", "fifth"} {
		s.rotated(note)
		b.frames(2)
		require.True(t, look[bool](b, "document.activeElement === kept && kept.isConnected && cell.isConnected"), note)
		require.Equal(t, selected, look[string](b, "getSelection().toString()"), note)
	}
	for n := range 100 { // of as many kinds, for which the others make room
		s.console.Observe(t.Context(), policy.Decision{
			Policy: policy.PolicyPool, Action: policy.Action(fmt.Sprintf("note %d", n)), Began: time.Now(),
		})
	}
	b.until(rows + ".some((r) => r.textContent.includes('note 99'))")
	require.True(t, look[bool](b, "document.activeElement === kept && kept.isConnected && kept.closest('tr').matches('.gone')"))
	require.Equal(t, selected, look[string](b, "getSelection().toString()"))
	b.do(chromedp.Evaluate[chromedp.Void]("getSelection().removeAllRanges(); kept.blur()"))
	b.until("!kept.isConnected && !cell.isConnected")
	b.requireQuiet(s.url)
}

// rotated tells the console of such a decision, in a trace that is sampled.
func (s opened) rotated(note string) {
	ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID([]byte((note + strings.Repeat(".", 16))[:16])), SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled,
	}))
	s.console.Observe(ctx, policy.Decision{Policy: policy.PolicyPool, Action: policy.ActionRotate, Note: note, Began: time.Now()})
}
