package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// visit has a few visitors ask for products until ctx ends, and returns how many
// answers there were of each status; 0 is no answer.
func visit(ctx context.Context, url string) map[int]int {
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone(), Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	answers := make(map[int]int)
	var visitors sync.WaitGroup
	for range 8 {
		visitors.Go(func() {
			for demo.Sleep(ctx, rand.N(80*time.Millisecond)) {
				status := ask(client, fmt.Sprintf("%s/products/%d", url, rand.N(1100)))
				mu.Lock()
				answers[status]++
				mu.Unlock()
			}
		})
	}
	visitors.Wait()
	return answers
}

// ask has no context, so that the end of the visit cuts no call.
func ask(client *http.Client, url string) (status int) {
	resp, err := client.Get(url) //nolint:noctx // see above; the client has a timeout
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0
	}
	return resp.StatusCode
}
