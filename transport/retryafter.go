package transport

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter bounds what a header can ask for, so that no sum overflows.
const maxRetryAfter = 100 * 365 * 24 * time.Hour

// retryAfter reads the Retry-After field (RFC 9110, section 10.2.3): seconds, or
// a date, which is taken relative to the response's own Date, so that clocks
// that differ do no harm. Of several the longest counts. ok is false when there
// is none that can be read.
func retryAfter(h http.Header) (d time.Duration, ok bool) {
	for _, v := range h["Retry-After"] {
		if one, valid := parseRetryAfter(strings.Trim(v, " \t"), h); valid {
			d, ok = max(d, one), true
		}
	}
	return d, ok
}

func parseRetryAfter(v string, h http.Header) (time.Duration, bool) {
	if digits(v) {
		seconds, err := strconv.ParseInt(v, 10, 64)
		if err != nil || seconds > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter, true
		}
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0, false
	}
	from, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		from = time.Now()
	}
	return min(max(at.Sub(from), 0), maxRetryAfter), true
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
