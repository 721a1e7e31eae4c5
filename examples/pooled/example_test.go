package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/magnetar-go/magnetar/pool"
	"github.com/magnetar-go/magnetar/transport"
)

func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello, "+r.Host)
	}))
	defer server.Close()
	replicas := pool.Static(map[string][]string{"api.internal": {server.Listener.Addr().String()}})

	pt, err := pool.NewTransport(pool.DefaultTransport(), pool.WithResolver(replicas)) // without it: the system's DNS
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pt.Close()
	client := &http.Client{Transport: transport.New(pt, transport.Default())}

	resp, err := client.Get("http://api.internal/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Printf("%s after %d try\n", body, len(transport.Attempts(resp)))
	// Output: hello, api.internal after 1 try
}
