//go:build linux

package nginx_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

const (
	workers = 8
	idlers  = 32
)

// user calls nginx in its way, and counts.
type user struct {
	name   string
	client *http.Client
	url    string
	proto  string // that responses must have
	conns  *connections

	mu sync.Mutex
	// Guarded by mu:
	calls, failed int64
	errors        map[string]int // by method and text, without addresses
}

// hurry makes calls of all kinds until ctx ends, with hardly a pause.
func (u *user) hurry(ctx context.Context) {
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := 0; demo.Sleep(ctx, rand.N(2*time.Millisecond)); n++ {
				u.call(w, n)
			}
		})
	}
	wg.Wait()
}

// dawdle makes two calls on each of many connections, the second when nginx is
// about to close it.
func (u *user) dawdle(ctx context.Context) {
	var wg sync.WaitGroup
	for w := range idlers {
		wg.Go(func() {
			u.call(w, 0)
			pause := keepAlive - 5*time.Millisecond + rand.N(10*time.Millisecond)
			if demo.Sleep(ctx, pause) {
				u.call(w, 3)
			}
		})
	}
	wg.Wait()
}

// call makes the nth call of a worker. It has a context of its own: the end of
// the load cuts none.
func (u *user) call(worker, n int) {
	var err error
	var method string
	switch n % 4 {
	case 0, 1:
		method = http.MethodGet
		err = u.get()
	case 2:
		method = http.MethodHead
		err = u.head()
	default:
		method = http.MethodPut
		err = u.put(fmt.Sprintf("/upload/%d-%d", worker, n%8))
	}
	u.note(method, err)
}

func (u *user) get() error {
	body, err := u.do(http.MethodGet, "/document", "")
	if err == nil && body != document {
		err = fmt.Errorf("%d bytes of the document's %d", len(body), len(document))
	}
	return err
}

func (u *user) head() error {
	_, err := u.do(http.MethodHead, "/document", "")
	return err
}

func (u *user) put(path string) error {
	_, err := u.do(http.MethodPut, path, document)
	return err
}

func (u *user) do(method, path, body string) (string, error) {
	req, err := http.NewRequest(method, u.url+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := u.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return "", err
	case resp.StatusCode > http.StatusNoContent:
		return "", fmt.Errorf("status %d", resp.StatusCode)
	case resp.Proto != u.proto:
		return "", fmt.Errorf("it speaks %s", resp.Proto)
	}
	return string(answer), nil
}

func (u *user) note(method string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls++
	if err == nil {
		return
	}
	u.failed++
	if u.errors == nil {
		u.errors = make(map[string]int)
	}
	text := err.Error()
	u.errors[method+text[strings.LastIndex(text, ": ")+1:]]++
}

func (u *user) String() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return fmt.Sprintf("%s: %d calls, %d failed %v; %d connections, at most %d at a time",
		u.name, u.calls, u.failed, u.errors, u.conns.dialled.Load(), u.conns.most.Load())
}
