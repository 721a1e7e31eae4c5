package middleware

import (
	"net/http"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

// Option gives a middleware a collaborator. The set is closed; an option that a
// middleware has no use for does nothing.
type Option interface{ apply(*settings) }

type optionFunc func(*settings)

func (f optionFunc) apply(s *settings) { f(s) }

// WithTelemetry replaces the default OpenTelemetry observer, otel.New(); nil
// turns spans and metrics off.
func WithTelemetry(o *otel.Observer) Option {
	return optionFunc(func(s *settings) { s.telemetry = o })
}

// WithObserver tells o every decision, beside the telemetry.
func WithObserver(o policy.Observer) Option {
	return optionFunc(func(s *settings) { s.observers = append(s.observers, o) })
}

// WithRefusal replaces the answer to what is refused, and to what overran its
// [Deadline]. The error tells which; a refusal's Retry-After and, where it is
// needed, Connection: close are set already. Default: a problem body of RFC 9457
// with 503, 429 or 504.
func WithRefusal(f func(http.ResponseWriter, *http.Request, *policy.Error)) Option {
	return optionFunc(func(s *settings) {
		if f != nil {
			s.refusal = f
		}
	})
}

// WithShadow decides and tells as ever, but lets everything pass: a trial run.
func WithShadow() Option {
	return optionFunc(func(s *settings) { s.shadow = true })
}

// settings is what the options say.
type settings struct {
	telemetry *otel.Observer
	observers []policy.Observer
	refusal   func(http.ResponseWriter, *http.Request, *policy.Error)
	shadow    bool
	quota     quotaSettings
	trust     trust
	ranking   ranking
	lanes     lanes
	timeless  []func(*http.Request) bool
}

func newSettings(opts []Option) settings {
	s := settings{telemetry: otel.New(), refusal: problem}
	for _, o := range opts {
		o.apply(&s)
	}
	return s
}
