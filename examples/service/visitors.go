package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// visitors ask for products, and buy some; of those that they ask for every eleventh
// is none.
type visitors struct {
	client *http.Client
	url    string

	mu sync.Mutex
	// Guarded by mu:
	answers map[int]int // by status; 0 is no answer
}

func newVisitors(url string) *visitors {
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone(), Timeout: 5 * time.Second}
	return &visitors{client: client, url: url, answers: make(map[int]int)}
}

// visit lasts until ctx ends.
func (v *visitors) visit(ctx context.Context) {
	defer v.client.CloseIdleConnections()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for demo.Sleep(ctx, rand.N(80*time.Millisecond)) {
				product := fmt.Sprintf("%s/products/%d", v.url, rand.N(1100))
				if rand.N(10) == 0 {
					v.note(ask(v.client, http.MethodPost, product+"/orders"))
				} else {
					v.note(ask(v.client, http.MethodGet, product))
				}
			}
		})
	}
	all.Wait()
}

func (v *visitors) note(status int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answers[status]++
}

func (v *visitors) String() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var b strings.Builder
	all := 0
	for _, status := range slices.Sorted(maps.Keys(v.answers)) {
		n := v.answers[status]
		all += n
		fmt.Fprintf(&b, ", %d %s", n, meaning(status))
	}
	return fmt.Sprintf("%d requests%s", all, b.String())
}

func meaning(status int) string {
	switch status {
	case 0:
		return "without an answer"
	case http.StatusOK:
		return "products"
	case http.StatusCreated:
		return "orders"
	case http.StatusNotFound:
		return "for what is no product"
	}
	return fmt.Sprintf("answered %d (%s)", status, http.StatusText(status))
}

// ask has no context, so that the end of the visit cuts no call.
func ask(client *http.Client, method, url string) (status int) {
	req, err := http.NewRequest(method, url, nil) //nolint:noctx // see above; the client has a timeout
	if err != nil {
		return 0
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0
	}
	return resp.StatusCode
}
