package overload

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/magnetar-go/magnetar/examples/benchmarks/internal/contender"
)

// patience is how long a client waits for its answer.
const patience = time.Second

// request is what came of one request.
type request struct {
	at, took time.Duration // at: since the load began
	critical bool
	ok       bool
}

// load is an open loop: whatever comes of them, so many requests arrive.
type load struct {
	rate     float64 // per second
	lasting  time.Duration
	critical float64 // share of the requests
	seed     uint64
}

// send sends the requests to url and returns them when all have ended.
func (l load) send(c *http.Client, url string) []request {
	began := time.Now()
	rng := rand.New(rand.NewPCG(l.seed, 1))
	var (
		all []*request
		wg  sync.WaitGroup
	)
	for at := l.gap(rng); at < l.lasting; at += l.gap(rng) {
		one := &request{at: at, critical: rng.Float64() < l.critical}
		all = append(all, one)
		time.Sleep(time.Until(began.Add(at)))
		wg.Go(func() { one.send(c, url) })
	}
	wg.Wait()
	values := make([]request, len(all))
	for i, one := range all {
		values[i] = *one
	}
	return values
}

func (l load) gap(rng *rand.Rand) time.Duration {
	return time.Duration(rng.ExpFloat64() / l.rate * float64(time.Second))
}

func (one *request) send(c *http.Client, url string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		panic(err)
	}
	if one.critical {
		req.Header.Set(contender.Priority, "critical")
	}
	began := time.Now()
	resp, err := c.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	one.took = time.Since(began)
	one.ok = err == nil && resp.StatusCode == http.StatusOK
}
