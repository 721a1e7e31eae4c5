package middleware

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// DeadlineConfig configures [Deadline].
type DeadlineConfig struct {
	// Max is the most time that a request gets, whatever its caller allows, and
	// what one gets that tells no budget. Negative: no bound, so that only the
	// caller's budget counts. Default: 10s.
	Max time.Duration `json:"max,omitempty" yaml:"max,omitempty"`
	// Min is the least time worth beginning with: a request with less left is
	// refused. Negative: only one with nothing left is. Default: 1ms.
	Min time.Duration `json:"min,omitempty" yaml:"min,omitempty"`
	// Headers name the request headers in which a trusted peer tells the time
	// that its caller still waits: grpc-timeout in gRPC's notation, any other as
	// whole milliseconds. Of several the shortest counts. Default: grpc-timeout
	// and X-Envoy-Expected-Rq-Timeout-Ms.
	Headers []string `json:"headers,omitempty" yaml:"headers,omitempty"`
}

// Validate reports every field that is out of range.
func (c DeadlineConfig) Validate() error {
	var f policy.Faults
	c = c.withDefaults()
	if c.Max > 0 && c.Min > c.Max {
		f.Addf("min", "%v: must be ≤ max, %v", c.Min, c.Max)
	}
	for i, name := range c.Headers {
		if !fieldName(name) {
			f.Addf(fmt.Sprintf("headers.%d", i), "%.40q: must be the name of a header", name)
		}
	}
	return f.Err()
}

func (c DeadlineConfig) withDefaults() DeadlineConfig {
	if c.Max == 0 {
		c.Max = 10 * time.Second
	}
	if c.Min == 0 {
		c.Min = time.Millisecond
	}
	if c.Max > 0 && c.Max < time.Millisecond && c.Min == time.Millisecond {
		c.Min = c.Max
	}
	if len(c.Headers) == 0 {
		c.Headers = []string{grpcTimeout, "X-Envoy-Expected-Rq-Timeout-Ms"}
	}
	return c
}

// budgetHeaders are the headers with their notation.
func (c DeadlineConfig) budgetHeaders() []budgetHeader {
	all := make([]budgetHeader, 0, len(c.Headers))
	for _, name := range c.Headers {
		h := budgetHeader{http.CanonicalHeaderKey(name), parseMillis}
		if h.name == grpcTimeout {
			h.parse = parseGRPCTimeout
		}
		all = append(all, h)
	}
	return all
}

// fieldName reports whether s is a token (RFC 9110, section 5.6.2).
func fieldName(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
