package transport_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/magnetar-go/magnetar/transport"
)

type stub struct{ header http.Header }

func (s stub) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: s.header, Body: &emptyBody{}, Request: req}, nil
}

type emptyBody struct{ strings.Reader }

func (*emptyBody) Close() error { return nil }

func BenchmarkGet(b *testing.B) {
	base := stub{http.Header{}}
	for name, rt := range map[string]http.RoundTripper{
		"bare":    base,
		"empty":   transport.New(base, transport.Config{}),
		"default": transport.New(base, transport.Default()),
	} {
		client := &http.Client{Transport: rt}
		get := func() {
			resp, err := client.Get("http://api.example.com/")
			if err != nil {
				b.Fatal(err)
			}
			resp.Body.Close()
		}
		b.Run("serial/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				get()
			}
		})
		b.Run("parallel/"+name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					get()
				}
			})
		})
	}
}
