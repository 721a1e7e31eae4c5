package middleware_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

// abilities of a ResponseWriter, by name.
func abilities(w http.ResponseWriter) map[string]bool {
	_, flusher := w.(http.Flusher)
	_, hijacker := w.(http.Hijacker)
	_, readerFrom := w.(io.ReaderFrom)
	_, pusher := w.(http.Pusher)
	_, stringWriter := w.(io.StringWriter)
	rc := http.NewResponseController(w)
	return map[string]bool{
		"Flusher":          flusher,
		"Hijacker":         hijacker,
		"ReaderFrom":       readerFrom,
		"Pusher":           pusher,
		"StringWriter":     stringWriter,
		"SetReadDeadline":  rc.SetReadDeadline(time.Now().Add(time.Minute)) == nil,
		"SetWriteDeadline": rc.SetWriteDeadline(time.Now().Add(time.Minute)) == nil,
		"EnableFullDuplex": rc.EnableFullDuplex() == nil,
	}
}

// Inbound trap 5.
func TestShedKeepsTheInterfaces(t *testing.T) {
	shed := newShedder(t, policy.ConcurrencyConfig{Limit: 10}).Handler
	overHTTP := func(h2 bool) func(*testing.T, http.Handler) {
		return func(t *testing.T, h http.Handler) {
			server := httptest.NewUnstartedServer(h)
			server.EnableHTTP2 = h2
			server.StartTLS()
			defer server.Close()
			resp, err := server.Client().Get(server.URL)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, h2, resp.ProtoMajor == 2)
		}
	}
	servers := map[string]func(*testing.T, http.Handler){
		"HTTP/1":   overHTTP(false),
		"HTTP/2":   overHTTP(true),
		"recorder": func(_ *testing.T, h http.Handler) { get(h, "/") },
	}
	for name, call := range servers {
		t.Run(name, func(t *testing.T) {
			var bare, wrapped map[string]bool
			call(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { bare = abilities(w) }))
			call(t, shed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { wrapped = abilities(w) })))
			require.NotEmpty(t, bare)
			require.Equal(t, bare, wrapped)
		})
	}
}

// bare has none of the optional interfaces.
type bare struct{ http.ResponseWriter }

type (
	canHijack struct{}
	canRead   struct{ n *int64 }
	canPush   struct{}
	canFlush  struct{}
)

func (canHijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, http.ErrNotSupported
}

func (c canRead) ReadFrom(r io.Reader) (n int64, err error) {
	*c.n, err = io.Copy(io.Discard, r)
	return *c.n, err
}
func (canPush) Push(string, *http.PushOptions) error { return http.ErrNotSupported }
func (canFlush) Flush()                              {}

// Inbound trap 5: whatever another middleware has left of the writer.
func TestShedAddsNoInterface(t *testing.T) {
	var n int64
	w := bare{httptest.NewRecorder()}
	writers := map[string]http.ResponseWriter{
		"none": w,
		"F": struct {
			bare
			canFlush
		}{bare: w},
		"H": struct {
			bare
			canHijack
		}{bare: w},
		"R": struct {
			bare
			canRead
		}{w, canRead{&n}},
		"P": struct {
			bare
			canPush
		}{bare: w},
		"F H": struct {
			bare
			canFlush
			canHijack
		}{bare: w},
		"F R": struct {
			bare
			canFlush
			canRead
		}{bare: w},
		"F P": struct {
			bare
			canFlush
			canPush
		}{bare: w},
		"H R": struct {
			bare
			canHijack
			canRead
		}{bare: w},
		"H P": struct {
			bare
			canHijack
			canPush
		}{bare: w},
		"R P": struct {
			bare
			canRead
			canPush
		}{bare: w},
		"F H R": struct {
			bare
			canFlush
			canHijack
			canRead
		}{bare: w},
		"F H P": struct {
			bare
			canFlush
			canHijack
			canPush
		}{bare: w},
		"F R P": struct {
			bare
			canFlush
			canRead
			canPush
		}{bare: w},
		"H R P": struct {
			bare
			canHijack
			canRead
			canPush
		}{bare: w},
		"F H R P": struct {
			bare
			canFlush
			canHijack
			canRead
			canPush
		}{bare: w},
	}
	shed := newShedder(t, policy.ConcurrencyConfig{Limit: 10}).Handler
	for name, under := range writers {
		t.Run(name, func(t *testing.T) {
			inside(shed, under, httptest.NewRequest(http.MethodGet, "/", nil), func(c call) {
				w := c.w
				_, f := w.(http.Flusher)
				_, h := w.(http.Hijacker)
				_, r := w.(io.ReaderFrom)
				_, p := w.(http.Pusher)
				require.Equal(t, strings.Contains(name, "F"), f)
				require.Equal(t, strings.Contains(name, "H"), h)
				require.Equal(t, strings.Contains(name, "R"), r)
				require.Equal(t, strings.Contains(name, "P"), p)
				require.Equal(t, under, w.(interface{ Unwrap() http.ResponseWriter }).Unwrap())
				if h {
					_, _, err := w.(http.Hijacker).Hijack()
					require.ErrorIs(t, err, http.ErrNotSupported)
				}
				if p {
					require.ErrorIs(t, w.(http.Pusher).Push("/", nil), http.ErrNotSupported)
				}
			})
		})
	}
	under := struct {
		bare
		canRead
	}{w, canRead{&n}}
	inside(shed, under, httptest.NewRequest(http.MethodGet, "/", nil), func(c call) {
		_, err := c.w.(io.ReaderFrom).ReadFrom(strings.NewReader("by ReadFrom"))
		require.NoError(t, err)
	})
	require.EqualValues(t, len("by ReadFrom"), n)
}

// Inbound trap 6.
func TestEarlyHintsAreNotTheFinalStatus(t *testing.T) {
	s := newShedder(t, policy.ConcurrencyConfig{})
	server := httptest.NewServer(s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
	})))
	defer server.Close()
	var hints []int
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { hints = append(hints, code); return nil },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	resp, err := server.Client().Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, []int{http.StatusEarlyHints}, hints)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, uint64(1), s.Stats().Streamed, "the final header was looked at, not the hints'")
}

// Inbound trap 6.
func TestSwitchingProtocolsEndsTheSampling(t *testing.T) {
	s := newShedder(t, policy.ConcurrencyConfig{Limit: 1})
	inside(s.Handler, nowhere{http.Header{}}, httptest.NewRequest(http.MethodGet, "/", nil), func(c call) {
		c.w.WriteHeader(http.StatusSwitchingProtocols)
		require.Zero(t, s.Stats().Main.InFlight)
		require.Equal(t, 1, s.Stats().Streams.InFlight)
	})
	require.Equal(t, uint64(1), s.Stats().Streamed)
	require.Zero(t, s.Stats().Streams.InFlight)
}

func TestWriteAfterReturnTouchesNothing(t *testing.T) {
	s := newShedder(t, policy.ConcurrencyConfig{Limit: 1})
	var kept http.ResponseWriter
	var body io.Reader
	h := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { kept, body = w, r.Body }))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader("late")))
	kept.Header().Set("Content-Type", "text/event-stream")
	_, err := io.WriteString(kept, strings.Repeat("x", 10<<10))
	require.NoError(t, err)
	require.NoError(t, http.NewResponseController(kept).Flush())
	_, err = io.ReadAll(body)
	require.NoError(t, err)
	st := s.Stats()
	require.Zero(t, st.Main.InFlight+st.Streams.InFlight)
	require.Zero(t, st.Streamed)
}

func TestEmptyBodyStaysAsItIs(t *testing.T) {
	s := newShedder(t, policy.ConcurrencyConfig{Limit: 1})
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	inside(s.Handler, httptest.NewRecorder(), r, func(c call) { require.Equal(t, http.NoBody, c.r.Body) })
}
