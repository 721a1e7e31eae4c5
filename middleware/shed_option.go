package middleware

import (
	"math"
	"net/http"

	"github.com/magnetar-go/magnetar/policy"
)

// WithHealth names the requests that ask for the server's health, its readiness
// or its metrics. They have a lane of their own: 16 in flight, 64 waiting. It
// stays open while draining. Default: the paths /healthz, /livez, /readyz,
// /health, /live, /ready, /ping and /metrics. Nil: none.
func WithHealth(f func(*http.Request) bool) Option {
	return optionFunc(func(s *settings) { s.lanes.health, s.lanes.healthSet = f, true })
}

// WithStream names the requests whose response is a stream: they never enter
// the main lane, and are refused when the streams' lane is full. Default: none
// is known beforehand.
//
// Unnamed ones are found out: a hijack, a response of text/event-stream, or a
// Flush followed by more than a second of handler. They give their place in the
// main lane back and take one in the streams' lane; if that is full they stay,
// but the time they take is not counted. A request that only asks for a stream
// (an Upgrade, CONNECT) needs a place in both lanes until it gets one, for its
// word alone opens no way around the limit.
func WithStream(f func(*http.Request) bool) Option {
	return optionFunc(func(s *settings) { s.lanes.stream = f })
}

// WithMaxStreams is how many streams, hijacked connections and requests held up
// by their client there may be at once. Default (0): 1000.
func WithMaxStreams(n int) Option {
	return optionFunc(func(s *settings) { s.lanes.streams = n })
}

// lanes says who belongs where.
type lanes struct {
	health    func(*http.Request) bool
	healthSet bool
	stream    func(*http.Request) bool
	streams   int
}

const defaultMaxStreams = 1000

func (l lanes) maxStreams() int {
	if l.streams == 0 {
		return defaultMaxStreams
	}
	return l.streams
}

func (l lanes) validate() error {
	var f policy.Faults
	switch {
	case l.streams < 0:
		f.Addf("max_streams", "%d: must be ≥ 0", l.streams)
	case l.streams > math.MaxInt32:
		f.Addf("max_streams", "%d: must be ≤ %d", l.streams, math.MaxInt32)
	}
	return f.Err()
}

func (l lanes) isHealth(r *http.Request) bool {
	switch {
	case l.health != nil:
		return l.health(r)
	case l.healthSet:
		return false
	}
	switch r.URL.Path {
	case "/healthz", "/livez", "/readyz", "/health", "/live", "/ready", "/ping", "/metrics":
		return true
	}
	return false
}

func (l lanes) isStream(r *http.Request) bool { return l.stream != nil && l.stream(r) }
