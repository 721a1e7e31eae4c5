package outage

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// call is what came of one call of a user.
type call struct {
	at, took time.Duration // at: since the load began
	ok       bool
	refused  bool // at once, by an open breaker
}

// load offers calls at rate per second for a time, whatever comes of them, and
// returns all of them in the order they arrived. patience is a call's deadline;
// zero is none.
func load(c *http.Client, rate float64, lasting, patience time.Duration, seed uint64) []call {
	began := time.Now()
	arrivals := rand.New(rand.NewPCG(seed, 1))
	var (
		calls []*call
		wg    sync.WaitGroup
	)
	for at := gap(arrivals, rate); at < lasting; at += gap(arrivals, rate) {
		time.Sleep(time.Until(began.Add(at)))
		one := &call{at: at}
		number := uint64(len(calls))
		calls = append(calls, one)
		wg.Go(func() { one.make(c, number, patience) })
	}
	wg.Wait()
	all := make([]call, len(calls))
	for i, one := range calls {
		all[i] = *one
	}
	return all
}

func gap(r *rand.Rand, rate float64) time.Duration {
	return time.Duration(r.ExpFloat64() / rate * float64(time.Second))
}

func (one *call) make(c *http.Client, number uint64, patience time.Duration) {
	ctx := context.WithValue(context.Background(), callKey{}, &numbered{number: number})
	if patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://api.example.com/", nil)
	if err != nil {
		panic(err)
	}
	began := time.Now()
	resp, err := c.Do(req)
	one.took = time.Since(began)
	if err != nil {
		one.refused = errors.Is(err, policy.ErrCircuitOpen)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	one.ok = resp.StatusCode == http.StatusOK
}
