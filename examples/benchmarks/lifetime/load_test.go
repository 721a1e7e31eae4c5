package lifetime

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

const workers = 16

// request is a kind of request, and how large an answer it gets.
type request struct {
	method, path string
	size         int
}

var mixed = []request{
	{http.MethodGet, "/quick", len(page)},
	{http.MethodGet, "/streamed", 4 * len(page)},
	{http.MethodPost, "/posted", len(page)},
	{http.MethodGet, "/slow", len(page)},
}

// tally is what came of requests.
type tally struct{ requests, failed atomic.Int64 }

// load makes requests, each kind in its turn, for a time: workers do, with a
// pause after each request.
func (l *tally) load(rt http.RoundTripper, url string, lasts time.Duration, kinds []request, pause func() time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), lasts)
	defer cancel()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := w; ctx.Err() == nil; n++ {
				l.requests.Add(1)
				if err := kinds[n%len(kinds)].do(rt, url); err != nil {
					l.failed.Add(1)
				}
				demo.Sleep(ctx, pause())
			}
		})
	}
	wg.Wait()
}

func (r request) do(rt http.RoundTripper, url string) error {
	var body io.Reader
	if r.method == http.MethodPost {
		body = bytes.NewReader(page)
	}
	req, err := http.NewRequest(r.method, url+r.path, body)
	if err != nil {
		return err
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	size, err := io.Copy(io.Discard, resp.Body)
	if err == nil && size != int64(r.size) {
		err = fmt.Errorf("%d bytes of %d", size, r.size)
	}
	return err
}
