package otel

import (
	"context"
	"net/http"
	"strings"
	"time"
)

const (
	framePeriod  = 500 * time.Millisecond
	viewersMax   = 16
	writeTimeout = 10 * time.Second // of a frame, for a viewer that does not read
)

// ServeHTTP answers GET and HEAD with the page, or with what the Accept header
// asks for: application/json is a frame, all that the page shows at one moment;
// text/event-stream is a frame twice a second (503 with Retry-After where 16
// viewers are there already, 204 once the console is closed). A frame has times
// in Unix milliseconds and durations in milliseconds; its lists have no more than
// 100 rows, the most urgent first, and "more" says how many were left out.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c == nil {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	accept := r.Header.Get("Accept")
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "the console only reads: GET and HEAD", http.StatusMethodNotAllowed)
	case strings.Contains(accept, "text/event-stream"):
		c.stream(w, r)
	case strings.Contains(accept, "application/json"):
		h.Set("Content-Type", "application/json")
		_, _ = w.Write(c.frame(r.Context()))
	default:
		c.page.serve(w)
	}
}

// stream sends frames by server-sent events (WHATWG HTML, section 9.2) until the
// viewer leaves.
func (c *Console) stream(w http.ResponseWriter, r *http.Request) {
	select {
	case <-c.closed: // 204 tells the viewer not to come back
		w.WriteHeader(http.StatusNoContent)
		return
	default:
	}
	select {
	case c.viewers <- struct{}{}:
		defer func() { <-c.viewers }()
	default:
		w.Header().Set("Retry-After", "10")
		http.Error(w, "too many viewers", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would wait for more
	if r.Method == http.MethodHead {
		return
	}
	if _, err := w.Write([]byte("retry: 1000\n\n")); err != nil {
		return
	}
	tick := time.NewTicker(framePeriod)
	defer tick.Stop()
	for c.send(r.Context(), w) == nil {
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-c.closed:
			return
		}
	}
}

func (c *Console) send(ctx context.Context, w http.ResponseWriter) error {
	frame := c.frame(ctx)
	if frame == nil {
		return context.Cause(ctx)
	}
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(writeTimeout)) // where the server has any
	event := make([]byte, 0, len(frame)+len("data: \n\n"))
	event = append(event, "data: "...)
	event = append(event, frame...)
	event = append(event, "\n\n"...)
	if _, err := w.Write(event); err != nil {
		return err
	}
	return control.Flush()
}
