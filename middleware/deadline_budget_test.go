package middleware

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBudgetIsReadInItsHeadersNotation(t *testing.T) {
	for _, tt := range []struct {
		name, header, value string
		want                time.Duration
		ok                  bool
	}{
		{"hours", grpcTimeout, "2H", 2 * time.Hour, true},
		{"minutes", grpcTimeout, "3M", 3 * time.Minute, true},
		{"seconds", grpcTimeout, "5S", 5 * time.Second, true},
		{"milliseconds", grpcTimeout, "250m", 250 * time.Millisecond, true},
		{"microseconds", grpcTimeout, "10u", 10 * time.Microsecond, true},
		{"nanoseconds", grpcTimeout, "99999999n", 99_999_999, true},
		{"nothing left", grpcTimeout, "0S", 0, true},
		{"eight digits of hours overflow", grpcTimeout, "99999999H", math.MaxInt64, true},
		{"nine digits", grpcTimeout, "999999999n", 0, false},
		{"no digits", grpcTimeout, "S", 0, false},
		{"no unit", grpcTimeout, "100", 0, false},
		{"unknown unit", grpcTimeout, "1s", 0, false},
		{"negative", grpcTimeout, "-1S", 0, false},
		{"signed", grpcTimeout, "+1S", 0, false},
		{"fraction", grpcTimeout, "1.5S", 0, false},
		{"spaces", grpcTimeout, " 1S", 0, false},
		{"empty", grpcTimeout, "", 0, false},
		{"plain", "X-Timeout-Ms", "1500", 1500 * time.Millisecond, true},
		{"plain zero", "X-Timeout-Ms", "0", 0, true},
		{"plain overflow", "X-Timeout-Ms", strings.Repeat("9", 400), math.MaxInt64, true},
		{"just too long", "X-Timeout-Ms", "9223372036855", math.MaxInt64, true},
		{"the longest", "X-Timeout-Ms", "9223372036854", 9223372036854 * time.Millisecond, true},
		{"leading zeros", "X-Timeout-Ms", "0000000000000000000000000007", 7 * time.Millisecond, true},
		{"plain negative", "X-Timeout-Ms", "-5", 0, false},
		{"plain with unit", "X-Timeout-Ms", "5ms", 0, false},
		{"plain empty", "X-Timeout-Ms", "", 0, false},
		{"other digits", "X-Timeout-Ms", "٣", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			headers := DeadlineConfig{Headers: []string{tt.header}}.budgetHeaders()
			got, ok := shortest(headers, http.Header{tt.header: {tt.value}})
			require.Equal(t, tt.ok, ok)
			if ok {
				require.Equal(t, tt.want, got)
			}
		})
	}
}

func TestShortestBudgetCounts(t *testing.T) {
	headers := DeadlineConfig{}.withDefaults().budgetHeaders()
	got, ok := shortest(headers, http.Header{
		grpcTimeout:                      {"7S", "rubbish", "3S"},
		"X-Envoy-Expected-Rq-Timeout-Ms": {"5000"},
	})
	require.True(t, ok)
	require.Equal(t, 3*time.Second, got)
}

func TestRetryAfterIsNeverEarlyAndAlwaysBounded(t *testing.T) {
	for _, tt := range []struct {
		after       time.Duration
		least, most string
	}{
		{0, "1", "3"},
		{time.Nanosecond, "1", "3"},
		{time.Second, "1", "3"},
		{time.Second + 1, "2", "4"},
		{20 * time.Second, "20", "30"},
		{126 * time.Second, "126", "186"},
		{24 * time.Hour, "86400", "86460"},
	} {
		seen := map[string]bool{}
		for range 2000 {
			v := retryAfter(tt.after)
			require.Len(t, v, 1)
			require.GreaterOrEqual(t, len(v[0]), len(tt.least))
			if len(v[0]) == len(tt.least) {
				require.GreaterOrEqual(t, v[0], tt.least, "after %v", tt.after)
			}
			require.LessOrEqual(t, len(v[0]), len(tt.most))
			if len(v[0]) == len(tt.most) {
				require.LessOrEqual(t, v[0], tt.most, "after %v", tt.after)
			}
			seen[v[0]] = true
		}
		require.GreaterOrEqual(t, len(seen), 3, "jitter after %v", tt.after)
	}
}

func FuzzGRPCTimeout(f *testing.F) {
	for _, s := range []string{"1H", "0n", "99999999H", "99999999n", "100000000S", "", "m", "-1m", "1 S", "1µ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := parseGRPCTimeout(s)
		require.GreaterOrEqual(t, d, time.Duration(0))
		if ok {
			require.Regexp(t, `^[0-9]{1,8}[HMSmun]$`, s)
		} else {
			require.NotRegexp(t, `^[0-9]{1,8}[HMSmun]$`, s)
		}
	})
}

func FuzzMillis(f *testing.F) {
	for _, s := range []string{"0", "1", "9223372036854", "9223372036855", strings.Repeat("9", 30), "", "-1", "1.5", "1e3", "0x1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := parseMillis(s)
		require.GreaterOrEqual(t, d, time.Duration(0))
		if ok {
			require.Regexp(t, `^[0-9]+$`, s)
		} else {
			require.NotRegexp(t, `^[0-9]+$`, s)
		}
	})
}

func FuzzPriorityHeader(f *testing.F) {
	for _, s := range []string{"bulk", "LOW", "Normal", "critical", "100000", "", "critical, critical", "ſ", "K"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, ok := parsePriority([]string{s})
		if ok {
			require.Equal(t, p.String(), strings.ToLower(s))
		} else {
			require.Zero(t, p)
		}
	})
}
