//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
)

// patience is for what must come, but not by when: a loaded machine may take
// its time.
const patience = 60 * time.Second

// tab is a page in a browser of its own.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu sync.Mutex
	// Guarded by mu:
	complaints []string // errors, violations of the content security policy, dialogs
	requests   []string // URLs
}

// open opens url in a new browser, that is gone without a trace when the test
// is over.
func open(t *testing.T, url string) *tab {
	t.Helper()
	b := blank(t)
	b.do(chromedp.Navigate(url))
	return b
}

// blank is a tab that has gone nowhere yet.
func blank(t *testing.T) *tab {
	t.Helper()
	binary := daemon.Program{Name: "chromium", Package: "chromium"}.Find(t)
	home, err := os.MkdirTemp("", "tab-") //nolint:usetesting // the path of a socket must be short
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(home)) })
	t.Setenv("TMPDIR", home) // where the browser's profile will be
	t.Cleanup(func() {
		require.Eventually(t, func() bool { return len(processesWith(home)) == 0 }, patience, 20*time.Millisecond, "the browser stays behind")
	})

	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(binary), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience)
	t.Cleanup(cancel)
	ctx, wait := chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(wait)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(end)

	b := &tab{t: t, ctx: ctx}
	require.NoError(t, chromedp.Listen(ctx, b.listen))
	_, err = chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		addEventListener('securitypolicyviolation', (e) => console.error('violation of', e.effectiveDirective, e.blockedURI, e.sample));
		addEventListener('unhandledrejection', (e) => console.error('unhandled', String(e.reason)));`})
	require.NoError(t, err)
	return b
}

// listen takes note of what a page in good order never does.
func (b *tab) listen(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.complaints = append(b.complaints, "log: "+e.Entry.Text)
		}
	case *runtime.EventConsoleAPICalled:
		var text []string
		for _, arg := range e.Args {
			text = append(text, string(arg.Value))
		}
		b.complaints = append(b.complaints, fmt.Sprintf("console.%s: %s", e.Type, strings.Join(text, " ")))
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, "exception: "+e.ExceptionDetails.Text)
	case *page.EventJavascriptDialogOpening:
		b.complaints = append(b.complaints, "dialog: "+e.Message)
	}
}

// requireQuiet fails the test if the page complained of anything, or asked for
// anything but url.
func (b *tab) requireQuiet(url string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.complaints)
	require.NotEmpty(b.t, b.requests)
	for _, r := range b.requests {
		require.Contains(b.t, []string{url, "data:,"}, r) // the latter is the icon that there is not
	}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, steps...))
}

// keys presses them, one after the other.
func (b *tab) keys(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// typed is text from the keyboard.
func (b *tab) typed(text string) {
	b.t.Helper()
	for _, r := range text {
		for _, e := range []input.DispatchKeyEventParams{
			{Type: input.DispatchKeyEventTypeKeyDown, Key: string(r), Text: string(r)},
			{Type: input.DispatchKeyEventTypeKeyUp, Key: string(r)},
		} {
			_, err := chromedp.Call(b.ctx, input.DispatchKeyEvent, e)
			require.NoError(b.t, err)
		}
	}
}

// look evaluates a JavaScript expression in the page.
func look[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	require.NoError(b.t, err, expression)
	return v
}

// until waits for a JavaScript condition to hold.
func (b *tab) until(condition string) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for !look[bool](b, "Boolean("+condition+")") {
		if time.Now().After(deadline) {
			require.FailNow(b.t, "never: "+condition, look[string](b, "document.body.innerText.slice(0, 2000)"))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// frames waits until the page has shown so many more.
func (b *tab) frames(n int) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](`(() => {
		window.framesSeen = 0;
		window.framesObserver?.disconnect();
		window.framesObserver = new MutationObserver(() => window.framesSeen++);
		framesObserver.observe(document.querySelector('#at'), {attributes: true});
	})()`))
	b.until(fmt.Sprintf("window.framesSeen >= %d", n))
}

// leave ends the page's connections, for those who wait for them.
func (b *tab) leave() {
	b.t.Helper()
	b.do(chromedp.Navigate("about:blank"))
}

// sized makes the window so large, and a phone's where it is narrow.
func (b *tab) sized(width, height int64) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600,
	})
	require.NoError(b.t, err)
	b.until(fmt.Sprintf("innerWidth === %d", width))
}

// prefersColors has the user prefer light or dark.
func (b *tab) prefersColors(scheme string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	require.NoError(b.t, err)
	b.until(fmt.Sprintf("matchMedia('(prefers-color-scheme: %s)').matches", scheme))
}

// screenshot leaves one in the directory that SCREENSHOTS names, where it names
// any.
func (b *tab) screenshot(name string) {
	b.t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		dir = b.t.TempDir()
	}
	require.NoError(b.t, os.MkdirAll(dir, 0o750)) //nolint:gosec // as below
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	require.True(b.t, bytes.HasPrefix(picture, []byte("\x89PNG")))
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o600)) //nolint:gosec // whoever names the directory wants it
}

// processesWith have text in their command line.
func processesWith(text string) []string {
	var found []string
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range all {
		line, err := os.ReadFile(file)
		if err == nil && bytes.Contains(line, []byte(text)) {
			found = append(found, string(line))
		}
	}
	return found
}
