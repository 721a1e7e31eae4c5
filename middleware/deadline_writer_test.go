package middleware_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/middleware"
)

// readerFrom is a recorder that sends files.
type readerFrom struct{ *httptest.ResponseRecorder }

func (w readerFrom) ReadFrom(src io.Reader) (int64, error) { return io.Copy(w.ResponseRecorder, src) }

// plain has no interface but its own; the others add one each.
type plain struct{ header http.Header }

func (w plain) Header() http.Header       { return w.header }
func (plain) WriteHeader(int)             {}
func (plain) Write(p []byte) (int, error) { return len(p), nil }

type (
	plainF struct{}
	plainP struct{}
)

func (plainF) Flush()                               {}
func (plainP) Push(string, *http.PushOptions) error { return nil }

// Inbound trap 5.
func TestDeadlineKeepsTheInterfacesOfTheWriter(t *testing.T) {
	type flusher = http.Flusher
	for _, w := range []http.ResponseWriter{
		plain{http.Header{}},
		struct {
			plain
			plainF
		}{plain: plain{http.Header{}}},
		struct {
			plain
			plainP
		}{plain: plain{http.Header{}}},
		struct {
			plain
			plainF
			plainP
		}{plain: plain{http.Header{}}},
		readerFrom{httptest.NewRecorder()},
		struct {
			plain
			http.Hijacker
			io.ReaderFrom
			http.Pusher
		}{plain: plain{http.Header{}}},
		struct {
			plain
			flusher
			http.Hijacker
			io.ReaderFrom
			http.Pusher
		}{plain: plain{http.Header{}}},
	} {
		var got http.ResponseWriter
		middleware.Deadline(middleware.DeadlineConfig{})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			got = w
		})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		require.Equal(t, interfacesOf(w), interfacesOf(got))
		require.Equal(t, w, got.(interface{ Unwrap() http.ResponseWriter }).Unwrap())
	}
}

func interfacesOf(w http.ResponseWriter) [4]bool {
	_, f := w.(http.Flusher)
	_, h := w.(http.Hijacker)
	_, r := w.(io.ReaderFrom)
	_, p := w.(http.Pusher)
	return [4]bool{f, h, r, p}
}
