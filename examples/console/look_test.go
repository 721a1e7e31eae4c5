//go:build linux

package main

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// troubled is a console on which everything has something to show.
func troubled(t *testing.T) (opened, *tab) {
	t.Helper()
	s := openShop(t)
	s.backends.paymentsIll.Store(true)
	s.backends.searchers[1].ill.Store(true)
	b := open(t, s.url)
	b.until(`document.querySelector('#summary').dataset.level === 'bad'
		&& document.querySelector('#breakers .count').dataset.level === 'bad' && document.querySelectorAll('#decisions a').length > 0`)
	return s, b
}

func TestPageFitsWhateverItIsSeenOn(t *testing.T) {
	s, b := troubled(t)
	for _, width := range []int64{1280, 820, 360} {
		b.sized(width, 740)
		b.frames(2)
		b.requireNoOverflow()
		require.Empty(t, look[[]string](b, `[...document.querySelectorAll('.chart, #summary, header')].filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.textContent)`), width)
		require.True(t, look[bool](b, `document.querySelector('#summary').getBoundingClientRect().bottom < innerHeight`), "what is wrong is seen first")
		require.True(t, look[bool](b, `[...document.querySelectorAll('button, input, summary')].every((e) => e.closest('dialog') || e.getBoundingClientRect().height >= 24)`), "to be hit by a finger")
	}
	require.True(t, look[bool](b, `[...document.querySelectorAll('.box')].every((e) => e.scrollWidth <= e.clientWidth)`), "a row is a card")
	b.screenshot("phone")
	b.requireQuiet(s.url)
}

// Every text has a contrast of at least 4.5 to what is behind it (WCAG 2.2,
// success criterion 1.4.3), by day and by night.
func TestTextCanBeReadInLightAndDark(t *testing.T) {
	s, b := troubled(t)
	b.sized(1280, 900)
	grounds := map[string]string{}
	for _, scheme := range []string{"light", "dark"} {
		b.prefersColors(scheme)
		b.frames(2)
		require.Empty(t, look[[]string](b, faint), scheme)
		require.Positive(t, look[int](b, "document.querySelectorAll('[data-level=bad]').length"))
		grounds[scheme] = look[string](b, "getComputedStyle(document.body).backgroundColor")
		b.screenshot(scheme)
	}
	require.NotEqual(t, grounds["light"], grounds["dark"])
	require.Zero(t, look[int](b, "document.getAnimations().length"), "nothing moves, whatever anybody prefers")
	b.requireQuiet(s.url)
}

// faint lists the texts that have too little contrast.
const faint = `(() => {
	const channels = (color) => color.match(/[\d.]+/g).map(Number);
	const luminance = (rgb) => {
		const [r, g, b] = rgb.slice(0, 3).map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const behind = (e) => {
		for (; e; e = e.parentElement) {
			const color = channels(getComputedStyle(e).backgroundColor);
			if ((color[3] ?? 1) === 1) return color;
		}
		return [255, 255, 255];
	};
	const found = new Set();
	for (const e of document.body.querySelectorAll('*')) {
		if (e.closest('script, noscript, [hidden]') || !e.getClientRects().length) continue;
		if (![...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim())) continue;
		const [a, b] = [luminance(channels(getComputedStyle(e).color)), luminance(behind(e))].sort((x, y) => y - x);
		const contrast = (a + 0.05) / (b + 0.05);
		if (contrast < 4.5) found.add(e.tagName + '.' + e.className + ' ' + contrast.toFixed(2) + ' ' + e.textContent.slice(0, 40));
	}
	return [...found];
})()`

// What a screen reader needs, as far as a test can tell.
func TestPageCanBeReadAloud(t *testing.T) {
	_, b := troubled(t)
	empty := map[string]string{
		"controls without a name":      `button, input, [role=img], [role=region], [tabindex], dialog, section, table, summary`,
		"pictures that are in the way": `svg`,
	}
	names := `(e) => e.ariaLabel || document.getElementById(e.getAttribute('aria-labelledby'))?.textContent.trim() || [...(e.labels ?? [])].map((l) => l.textContent).join('') || (e.matches('button, summary') && e.textContent.trim())`
	require.Empty(t, look[[]string](b, `[...document.querySelectorAll('`+empty["controls without a name"]+`')].filter((e) => !(`+names+`)(e)).map((e) => e.outerHTML.slice(0, 100))`))
	require.Empty(t, look[[]string](b, `[...document.querySelectorAll('`+empty["pictures that are in the way"]+`')].filter((e) => e.ariaHidden !== 'true').map((e) => e.outerHTML.slice(0, 100))`))
	require.Equal(t, "en", look[string](b, "document.documentElement.lang"))
	require.Equal(t, []string{"H1", "H2", "H2", "H2", "H2", "H2", "H2", "H2"}, look[[]string](b, "Array.from(document.querySelectorAll('h1, h2, h3, h4'), (h) => h.tagName).filter((_, i, all) => i < all.length - 1)"), "and the dialog's")
	require.Equal(t, []int{1, 1, 1, 1}, look[[]int](b, "['header', 'main', 'footer', '[role=search]'].map((l) => document.querySelectorAll(l).length)"))
	require.Zero(t, look[int](b, "document.querySelectorAll('th:not([scope])').length"))
	require.Zero(t, look[int](b, "[...document.querySelectorAll('tbody tr')].filter((tr) => tr.querySelectorAll('th[scope=row]').length !== 1).length"))
	require.Zero(t, look[int](b, "(() => { const ids = Array.from(document.querySelectorAll('[id]'), (e) => e.id); return ids.length - new Set(ids).size; })()"))
	require.Equal(t, 1, look[int](b, "document.querySelectorAll('[aria-live], [role=status], [role=alert], [role=log]').length"), "one voice")
	b.until("document.querySelector('#announced').textContent.includes('open')")
	require.Contains(t, look[string](b, "document.querySelector('#traffic [role=img]').ariaLabel"), "/s now, at most ")
	require.Contains(t, look[string](b, "document.title"), "open")
}

// However often the words change, they are spoken once in five seconds at most.
func TestVoiceIsCalm(t *testing.T) {
	s := openShop(t)
	b := open(t, s.url)
	b.until("document.querySelector('#announced').textContent !== ''")
	b.do(chromedp.Evaluate[chromedp.Void](`
		window.spoken = [];
		new MutationObserver(() => spoken.push(performance.now())).observe(document.querySelector('#announced'), {childList: true, characterData: true, subtree: true});`))
	s.backends.paymentsIll.Store(true)
	b.until("spoken.length > 0")
	s.backends.paymentsIll.Store(false)
	b.until("spoken.length > 1")
	times := look[[]float64](b, "spoken")
	for i := 1; i < len(times); i++ {
		require.GreaterOrEqual(t, times[i]-times[i-1], 4900.0, "ms")
	}
}
