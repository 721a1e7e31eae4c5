package transport

import (
	"math"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Trap 6: no Retry-After gives a negative or an overflowed wait, and every form
// of RFC 9110, section 10.2.3 is understood.
func TestTrap06RetryAfterGrammar(t *testing.T) {
	const minute = time.Minute
	began := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // of every bubble
	in := began.Add(minute)
	past := began.Add(-time.Hour)
	skewed := began.Add(-5 * time.Hour)
	date := func(at time.Time) string { return at.Format(http.TimeFormat) }
	for _, c := range []struct {
		name   string
		values []string
		date   string
		want   time.Duration
		ok     bool
	}{
		{name: "absent"},
		{name: "seconds", values: []string{"120"}, want: 2 * minute, ok: true},
		{name: "zero", values: []string{"0"}, ok: true},
		{name: "leading zeros", values: []string{"007"}, want: 7 * time.Second, ok: true},
		{name: "negative", values: []string{"-5"}},
		{name: "plus", values: []string{"+5"}},
		{name: "fraction", values: []string{"1.5"}},
		{name: "exponent", values: []string{"1e3"}},
		{name: "hexadecimal", values: []string{"0x10"}},
		{name: "unit", values: []string{"5s"}},
		{name: "spaces around", values: []string{" 3 "}, want: 3 * time.Second, ok: true},
		{name: "tabs around", values: []string{"\t3\t"}, want: 3 * time.Second, ok: true},
		{name: "space within", values: []string{"3 0"}},
		{name: "other digits", values: []string{"٣"}},
		{name: "empty", values: []string{""}},
		{name: "blank", values: []string{"  "}},
		{name: "MaxInt64", values: []string{strconv.FormatInt(math.MaxInt64, 10)}, want: maxRetryAfter, ok: true},
		{name: "over MaxInt64", values: []string{"99999999999999999999999"}, want: maxRetryAfter, ok: true},
		{name: "overflows as nanoseconds", values: []string{"10000000000"}, want: maxRetryAfter, ok: true},
		{name: "IMF-fixdate", values: []string{date(in)}, want: minute, ok: true},
		{name: "RFC 850", values: []string{in.Format("Monday, 02-Jan-06 15:04:05 GMT")}, want: minute, ok: true},
		{name: "asctime", values: []string{in.Format(time.ANSIC)}, want: minute, ok: true},
		{name: "past date", values: []string{date(past)}, ok: true},
		{name: "date of year 9999", values: []string{"Fri, 31 Dec 9999 23:59:59 GMT"}, want: maxRetryAfter, ok: true},
		{name: "date of year 1", values: []string{"Mon, 01 Jan 0001 00:00:00 GMT"}, ok: true},
		{name: "no such date", values: []string{"Mon, 32 Jan 2024 00:00:00 GMT"}},
		{name: "ISO 8601", values: []string{in.Format(time.RFC3339)}},
		{name: "relative to the peer's Date", values: []string{date(skewed.Add(minute))}, date: date(skewed), want: minute, ok: true},
		{name: "past of the peer's Date", values: []string{date(in)}, date: date(in.Add(minute)), ok: true},
		{name: "with a Date that is none", values: []string{date(in)}, date: "yesterday", want: minute, ok: true},
		{name: "two, the longer counts", values: []string{"5", "120"}, want: 2 * minute, ok: true},
		{name: "two, the longer first", values: []string{"120", "5"}, want: 2 * minute, ok: true},
		{name: "two, one of them nonsense", values: []string{"soon", "7"}, want: 7 * time.Second, ok: true},
		{name: "two in one", values: []string{"5, 120"}},
		{name: "word", values: []string{"soon"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := http.Header{}
				for _, v := range c.values {
					h.Add("Retry-After", v)
				}
				if c.date != "" {
					h.Set("Date", c.date)
				}
				got, ok := retryAfter(h)
				require.Equal(t, c.ok, ok)
				require.Equal(t, c.want, got)
			})
		})
	}
}

// Trap 6: whatever the peer sends.
func FuzzRetryAfter(f *testing.F) {
	f.Add("120", "", "")
	f.Add("-5", "1.5", "")
	f.Add("9223372036854775807", "10000000000", "")
	f.Add("Fri, 31 Dec 9999 23:59:59 GMT", "", "Mon, 01 Jan 0001 00:00:00 GMT")
	f.Fuzz(func(t *testing.T, first, second, date string) {
		h := http.Header{"Retry-After": {first, second}, "Date": {date}}
		d, ok := retryAfter(h)
		require.GreaterOrEqual(t, d, time.Duration(0))
		require.LessOrEqual(t, d, maxRetryAfter)
		require.False(t, time.Now().Add(d+maxRetryAfter).Before(time.Now()), "it cannot be added to a time")
		require.True(t, ok || d == 0)
		alone, okAlone := retryAfter(http.Header{"Retry-After": {first}, "Date": {date}})
		if okAlone && digits(first) {
			require.LessOrEqual(t, alone, d, "a second header made the wait shorter")
		}
	})
}
