package main

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"strings"
	"sync"
)

// fault is what becomes of a request instead of going through.
type fault func(p *proxy, w http.ResponseWriter, r *http.Request)

// first has the first n requests that match meet a fault.
func first(n int, match func(*http.Request) bool, f fault) func(*http.Request) fault {
	return func(r *http.Request) fault {
		if n == 0 || !match(r) {
			return nil
		}
		n--
		return f
	}
}

// every has each nth request that matches meet a fault.
func every(n int, match func(*http.Request) bool, f fault) func(*http.Request) fault {
	seen := 0
	return func(r *http.Request) fault {
		if !match(r) {
			return nil
		}
		seen++
		if seen%n != 0 {
			return nil
		}
		return f
	}
}

func anything(*http.Request) bool { return true }

func method(m string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == m }
}

// slowDown is S3's word for too many requests.
func slowDown(_ *proxy, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?>`+
		`<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`)
}

// resetAtOnce resets the connection when the request's headers have come.
func resetAtOnce(_ *proxy, _ http.ResponseWriter, r *http.Request) { reset(r) }

// resetUpload resets it when so many bytes of the body have come; the server
// gets nothing.
func resetUpload(after int64) fault {
	return func(_ *proxy, _ http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, after) // a shorter one is reset at its end
		reset(r)
	}
}

// resetAnswer resets it when the server has done what was asked, and answers.
func resetAnswer(p *proxy, w http.ResponseWriter, r *http.Request) {
	p.pass(&cutWriter{ResponseWriter: w, headers: cutNow, cut: func() { reset(r) }}, r)
}

// resetBody resets it when so many bytes of the answer's body have gone.
func resetBody(after int) fault {
	return func(p *proxy, w http.ResponseWriter, r *http.Request) {
		p.pass(&cutWriter{ResponseWriter: w, left: after, cut: func() { reset(r) }}, r)
	}
}

// truncate ends the answer there as if that were all: by closing the connection.
func truncate(after int) fault {
	return func(p *proxy, w http.ResponseWriter, r *http.Request) {
		p.pass(&cutWriter{ResponseWriter: w, left: after, cut: func() { panic(http.ErrAbortHandler) }}, r)
	}
}

// stall takes the request and never answers.
func stall(p *proxy, _ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	select {
	case <-p.closing.Done():
	case <-r.Context().Done():
	}
	panic(http.ErrAbortHandler)
}

// stallBody falls silent when so many bytes of the answer's body have gone.
func stallBody(after int) fault {
	return func(p *proxy, w http.ResponseWriter, r *http.Request) {
		p.pass(&cutWriter{ResponseWriter: w, left: after, cut: func() { stall(p, w, r) }}, r)
	}
}

// cutWriter lets so many bytes of an answer through, and then cuts it.
type cutWriter struct {
	http.ResponseWriter

	headers headers
	left    int
	cut     func()
	once    sync.Once
}

// headers is what becomes of an answer's.
type headers int

const (
	passHeaders headers = iota
	cutNow
)

func (w *cutWriter) WriteHeader(status int) {
	if w.headers == cutNow && status >= http.StatusOK {
		w.once.Do(w.cut)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *cutWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	written, err := w.ResponseWriter.Write(p[:n])
	w.left -= written
	if err == nil && n < len(p) {
		_ = http.NewResponseController(w.ResponseWriter).Flush()
		w.once.Do(w.cut)
	}
	return written, err
}

// corrupt changes a byte of the answer's body.
func corrupt(p *proxy, w http.ResponseWriter, r *http.Request) {
	p.pass(&corruptWriter{ResponseWriter: w}, r)
}

type corruptWriter struct{ http.ResponseWriter }

func (w *corruptWriter) Write(p []byte) (int, error) {
	changed := bytes.Clone(p)
	if len(p) > 0 {
		changed[0] ^= 1
	}
	return w.ResponseWriter.Write(changed)
}

// silent swallows what a server logs of connections that it was made to break.
var silent = log.New(io.Discard, "", 0)

// contains matches requests whose URL does.
func contains(part string) func(*http.Request) bool {
	return func(r *http.Request) bool { return strings.Contains(r.URL.String(), part) }
}
