package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

const report = "/report" // which takes long

// load is the calls of one client, and what came of them.
type load struct {
	client *http.Client
	url    string
	began  time.Time
	tries  map[string]*atomic.Int64 // by the server they went to

	answered, lost atomic.Int64

	mu     sync.Mutex
	failed []failure // guarded by mu
}

// failure is a call that failed.
type failure struct {
	method, server string // the last it went to
	at             time.Time
	err            error
}

func newLoad(client *http.Client, f *fleet) *load {
	l := &load{client: client, url: f.url, began: time.Now(), tries: make(map[string]*atomic.Int64)}
	for _, s := range f.servers {
		l.tries[s.address] = new(atomic.Int64)
	}
	return l
}

// run makes so many calls a second until ctx ends, and lets those under way
// finish.
func (l *load) run(ctx context.Context, rate, workers int) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				due := l.began.Add(time.Duration(next.Add(1)-1) * time.Second / time.Duration(rate))
				if !demo.Sleep(ctx, time.Until(due)) {
					return
				}
				l.call()
			}
		})
	}
	wg.Wait()
}

// call makes a call: most read, some write, a few take long.
func (l *load) call() {
	switch n := rand.N(200); {
	case n == 0:
		l.do(http.MethodGet, report)
	case n <= 20:
		l.do(http.MethodPost, "/orders")
	case n <= 40:
		l.do(http.MethodPut, "/orders/42")
	default:
		l.do(http.MethodGet, "/orders/42")
	}
}

func (l *load) do(method, path string) {
	var to atomic.Value
	to.Store("")
	trace := httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		server := info.Conn.RemoteAddr().String()
		to.Store(server)
		l.tries[server].Add(1)
	}}
	err := l.exchange(httptrace.WithClientTrace(context.Background(), &trace), method, path)
	if err == nil {
		l.answered.Add(1)
		return
	}
	l.lost.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, failure{method, to.Load().(string), time.Now(), err})
}

func (l *load) exchange(ctx context.Context, method, path string) error {
	req, err := http.NewRequestWithContext(ctx, method, l.url+path, bodyOf(method))
	if err != nil {
		return err
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK:
		return errors.New(resp.Status)
	case string(body) != http.StatusText(http.StatusOK):
		return fmt.Errorf("half an answer: %q", body)
	}
	return nil
}

// counts are the tries, by server.
func (l *load) counts(f *fleet) []int64 {
	var all []int64
	for _, s := range f.servers {
		all = append(all, l.tries[s.address].Load())
	}
	return all
}

// failures are the calls that have failed.
func (l *load) failures() []failure {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

func bodyOf(method string) io.Reader {
	if method == http.MethodGet {
		return nil
	}
	return strings.NewReader("an order")
}
