package middleware

import (
	"math"
	"net/http"
	"time"
)

// grpcTimeout is the header's canonical name in net/http.
const grpcTimeout = "Grpc-Timeout"

// budgetHeader is a header that tells how long the caller still waits.
type budgetHeader struct {
	name  string // canonical
	parse func(string) (time.Duration, bool)
}

// shortest returns the shortest budget that h tells. What is malformed is as
// absent.
func shortest(headers []budgetHeader, h http.Header) (time.Duration, bool) {
	found, least := false, time.Duration(math.MaxInt64)
	for _, header := range headers {
		for _, v := range h[header.name] {
			if d, ok := header.parse(v); ok {
				found, least = true, min(least, d)
			}
		}
	}
	return least, found
}

// parseGRPCTimeout reads the Timeout of gRPC over HTTP/2: one to eight digits and
// a unit.
func parseGRPCTimeout(s string) (time.Duration, bool) {
	const maxDigits = 8
	last := len(s) - 1
	if last < 1 || last > maxDigits {
		return 0, false
	}
	var unit time.Duration
	switch s[last] {
	case 'H':
		unit = time.Hour
	case 'M':
		unit = time.Minute
	case 'S':
		unit = time.Second
	case 'm':
		unit = time.Millisecond
	case 'u':
		unit = time.Microsecond
	case 'n':
		unit = time.Nanosecond
	default:
		return 0, false
	}
	return parseUnits(s[:last], unit)
}

// parseMillis reads whole milliseconds.
func parseMillis(s string) (time.Duration, bool) { return parseUnits(s, time.Millisecond) }

// parseUnits reads digits, and nothing else. What is too long for a duration is
// the longest there is.
func parseUnits(digits string, unit time.Duration) (time.Duration, bool) {
	most := math.MaxInt64 / int64(unit)
	n := int64(0)
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n <= most/10 {
			n = n*10 + int64(c-'0')
		} else {
			n = most + 1
		}
	}
	if n > most {
		return math.MaxInt64, true
	}
	return time.Duration(n * int64(unit)), digits != ""
}
