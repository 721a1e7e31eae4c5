package benchmarks

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
)

const target = "http://api.example.com/users/42"

var kilobyte = bytes.Repeat([]byte("x"), 1024)

func BenchmarkGet(b *testing.B) {
	for _, p := range peers {
		client := p.client(stub{http.StatusOK})
		b.Run(p.name, func(b *testing.B) { measure(b, get(b, client, target)) })
	}
}

func BenchmarkGetParallel(b *testing.B) {
	for _, p := range peers {
		client := p.client(stub{http.StatusOK})
		b.Run(p.name, func(b *testing.B) { measureParallel(b, get(b, client, target)) })
	}
}

func BenchmarkPostReplayable1KiB(b *testing.B) {
	for _, p := range peers {
		client := p.client(stub{http.StatusOK})
		b.Run(p.name, func(b *testing.B) {
			measure(b, func() {
				resp, err := client.Post(target, "application/octet-stream", bytes.NewReader(kilobyte))
				answered(b, resp, err)
			})
		})
	}
}

func BenchmarkLoopback(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(content))
	}))
	defer server.Close()
	for _, p := range peers {
		base := http.DefaultTransport.(*http.Transport).Clone()
		client := p.client(base)
		b.Run(p.name, func(b *testing.B) { measure(b, get(b, client, server.URL)) })
		base.CloseIdleConnections()
	}
}

func get(b *testing.B, client *http.Client, url string) func() {
	return func() {
		resp, err := client.Get(url)
		answered(b, resp, err)
	}
}

func answered(b *testing.B, resp *http.Response, err error) {
	if err != nil {
		b.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		b.Fatal(resp.StatusCode)
	}
	swallow(resp.Body)
}
