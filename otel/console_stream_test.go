package otel_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

func TestConsolePageAllowsItselfAndNothingElse(t *testing.T) {
	w := ask(t, otel.NewConsole(), http.MethodGet, "text/html,application/xhtml+xml,*/*;q=0.8")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
	require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	page := w.Body.String()
	csp := w.Header().Get("Content-Security-Policy")
	require.NotContains(t, csp, "unsafe")
	require.True(t, strings.HasPrefix(csp, "default-src 'none'; "), csp)
	for _, tag := range []string{"style", "script"} {
		found := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(page, -1)
		require.Len(t, found, 1, tag)
		require.NotEmpty(t, strings.TrimSpace(found[0][1]))
		sum := sha256.Sum256([]byte(found[0][1]))
		require.Contains(t, csp, tag+"-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	require.NotRegexp(t, `\sstyle=|\son\w+=|https?://(?:[^"' ]*)\.(?:js|css)`, page, "what the policy would stop")
}

func TestConsoleOnlyReads(t *testing.T) {
	c := otel.NewConsole()
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, "BREW"} {
		w := ask(t, c, method, "text/event-stream")
		require.Equal(t, http.StatusMethodNotAllowed, w.Code)
		require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
	}
	require.Equal(t, http.StatusOK, ask(t, c, http.MethodHead, "*/*").Code)
	require.Equal(t, "text/event-stream", ask(t, c, http.MethodHead, "text/event-stream").Header().Get("Content-Type"))
}

// pipes is a listener whose connections work in a bubble.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p pipes) Close() error   { close(p.done); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// serveConsole runs an http.Server for a console, in a bubble.
func serveConsole(t *testing.T, c *otel.Console) (*http.Server, *http.Client) {
	t.Helper()
	l := pipes{make(chan net.Conn), make(chan struct{})}
	srv := &http.Server{Handler: c, WriteTimeout: 2 * time.Second}
	srv.RegisterOnShutdown(c.Close)
	go srv.Serve(l)
	base := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		client, server := net.Pipe()
		select {
		case l.conns <- server:
			return client, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	t.Cleanup(func() {
		base.CloseIdleConnections()
		srv.Close()
	})
	return srv, &http.Client{Transport: base}
}

func subscribe(t *testing.T, client *http.Client) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://console.test/debug", nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := client.Do(req)
	require.NoError(t, err)
	return resp
}

func nextFrame(t *testing.T, from *bufio.Reader) frame {
	t.Helper()
	for {
		text, err := from.ReadString('\n')
		require.NoError(t, err)
		if data, ok := strings.CutPrefix(text, "data: "); ok {
			var f frame
			require.NoError(t, json.Unmarshal([]byte(data), &f))
			return f
		}
	}
}

func TestConsoleStreamsTwiceASecondForAsLongAsAnybodyLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := otel.NewConsole()
		_, client := serveConsole(t, c)
		resp := subscribe(t, client)
		require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
		from := bufio.NewReader(resp.Body)
		began := time.Now()
		for i := range 40 { // for much longer than the server's WriteTimeout
			f := nextFrame(t, from)
			require.Equal(t, began.Add(time.Duration(i)*500*time.Millisecond).UnixMilli(), f.At)
			require.Len(t, f.Decisions, min(i, 1))
			c.Observe(t.Context(), refused("api"))
		}
		resp.Body.Close()
	})
}

func TestConsoleEndsItsStreamsOnShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := otel.NewConsole()
		srv, client := serveConsole(t, c)
		resp := subscribe(t, client)
		from := bufio.NewReader(resp.Body)
		nextFrame(t, from)
		ended := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, from)
			ended <- err
		}()
		began := time.Now()
		require.NoError(t, srv.Shutdown(t.Context()))
		require.Less(t, time.Since(began), time.Second)
		require.NoError(t, <-ended)
		resp.Body.Close()
		c.Close()
		require.Equal(t, http.StatusNoContent, ask(t, c, http.MethodGet, "text/event-stream").Code, "do not come back")
	})
}

func TestConsoleHasSoManyViewersAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := otel.NewConsole()
		_, client := serveConsole(t, c)
		looked := 0
		c.Watch(func(func(policy.Status) bool) { looked++ })
		streams := make([]*http.Response, 16)
		for i := range streams {
			streams[i] = subscribe(t, client)
			nextFrame(t, bufio.NewReader(streams[i].Body))
		}
		require.Equal(t, 1, looked, "a frame is for all")
		resp := subscribe(t, client)
		require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
		require.Equal(t, "10", resp.Header.Get("Retry-After"))
		resp.Body.Close()
		for _, s := range streams {
			s.Body.Close()
		}
		synctest.Wait()
		time.Sleep(time.Second) // they are noticed at the next frame, or before
		resp = subscribe(t, client)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		resp.Body.Close()
	})
}

// deaf is a viewer whose connection takes nothing.
type deaf struct{ *httptest.ResponseRecorder }

func (deaf) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestConsoleLeavesAViewerThatCannotBeReached(t *testing.T) {
	c := otel.NewConsole()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept", "text/event-stream")
	c.ServeHTTP(deaf{httptest.NewRecorder()}, r) // returns
	c.ServeHTTP(struct{ http.ResponseWriter }{httptest.NewRecorder()}, r)
}
