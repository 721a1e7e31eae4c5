package middleware

import (
	"net/http"
	"strconv"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// The fields of draft-ietf-httpapi-ratelimit-headers-11, as net/http spells them.
// They are lists: quotas within each other add theirs.
const (
	policyFieldName = "Ratelimit-Policy"
	levelsFieldName = "Ratelimit"
)

// describe adds the fields. Without levels only the policy is known.
func (q *Quota) describe(h http.Header, p *plan, levels []policy.StoreLevel) {
	if q.settings.quota.noFields || q.settings.shadow {
		return
	}
	if outer := h[policyFieldName]; outer == nil {
		h[policyFieldName] = p.fields
	} else {
		h[policyFieldName] = append(outer, p.fields...)
	}
	if levels != nil {
		var buf [128]byte
		h[levelsFieldName] = append(h[levelsFieldName], string(appendLevels(buf[:0], p.limits, levels)))
	}
}

// policyField is what there is to know beforehand: "default";q=100;w=60. The
// window is left out where it is not of whole seconds, since a field cannot say
// so.
func policyField(limits []namedLimit) string {
	var b []byte
	for i, l := range limits {
		b = appendName(b, i, l.name)
		b = appendInt(b, ";q=", int64(l.cfg.Limit))
		if per := l.per(); per%time.Second == 0 {
			b = appendInt(b, ";w=", int64(per/time.Second))
		}
	}
	return string(b)
}

// appendLevels appends how the key stands: "default";r=50;t=30.
//
// After an admission t is the time over which the limit allows what is left, so
// that a client that spreads r over t keeps to the limit; with nothing left, it is
// when the next unit comes. After a refusal only the limits that refused have a t,
// which is when to try again: no earlier may Retry-After be than any t.
func appendLevels(b []byte, limits []policy.StoreLimit, levels []policy.StoreLevel) []byte {
	refused := !levels[worstOf(levels)].Admitted
	for i, level := range levels {
		b = appendName(b, i, limits[i].Name)
		b = appendInt(b, ";r=", int64(max(0, level.Remaining)))
		window := level.RetryAfter
		if !refused {
			window = windowOf(limits[i], level)
		}
		if window > 0 {
			b = appendInt(b, ";t=", int64(ceil(window, time.Second)))
		}
	}
	return b
}

func windowOf(l policy.StoreLimit, level policy.StoreLevel) time.Duration {
	if level.Remaining > 0 {
		return time.Duration(min(level.Remaining, l.Burst)) * l.Interval
	}
	return level.Reset - time.Duration(l.Burst-1)*l.Interval
}

func appendName(b []byte, i int, name string) []byte {
	if i > 0 {
		b = append(b, ", "...)
	}
	b = append(b, '"')
	b = append(b, name...)
	return append(b, '"')
}

// maxInteger is the largest of a structured field (RFC 9651, section 3.3.1).
const maxInteger = 999_999_999_999_999

func appendInt(b []byte, parameter string, v int64) []byte {
	return strconv.AppendInt(append(b, parameter...), min(v, maxInteger), 10)
}
