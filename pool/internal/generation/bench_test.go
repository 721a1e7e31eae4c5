package generation

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func BenchmarkRoundTrip(b *testing.B) {
	server := httptest.NewServer(echo)
	defer server.Close()
	plain := server.Client().Transport.(*http.Transport)
	s := New(Config{Base: plain, Address: server.Listener.Addr().String(), MaxLifetime: time.Hour})
	defer closeSet(s)
	for name, rt := range map[string]http.RoundTripper{"plain": plain, "set": tripper{s, new(ledger)}} {
		b.Run(name, func(b *testing.B) {
			req, _ := http.NewRequest(http.MethodGet, server.URL, nil)
			b.ReportAllocs()
			for b.Loop() {
				resp, err := rt.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}
