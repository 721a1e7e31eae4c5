package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTableIsReadAtAGlance(t *testing.T) {
	rows := []row{
		{
			phase: "failing", client: "magnetar", calls: 600, answered: 12, refused: 520, tries: 75,
			p50: 500 * time.Microsecond, p99: 45 * time.Millisecond, breaker: "open",
		},
		{phase: "failing", client: "bare", calls: 600, tries: 600, p50: time.Millisecond, p99: 1250 * time.Millisecond, breaker: "-"},
		{
			phase: "slow", client: "magnetar", calls: 500, answered: 450, refused: 50, tries: 450,
			p50: 150 * time.Millisecond, p99: 151 * time.Millisecond, settled: 0.987, lastRefusal: 345 * time.Millisecond, breaker: "closed",
		},
		{
			phase: "recovered", client: "magnetar", calls: 400, answered: 400, tries: 402,
			p50: time.Millisecond, p99: 2 * time.Millisecond, settled: 1, breaker: "closed",
		},
	}
	require.Equal(t, `
phase      client     calls  answered  tries/call       p50       p99  refused  breaker at the end
failing    magnetar     600     2.0 %        0.12    0.5 ms   45.0 ms      520  open
           bare         600     0.0 %        1.00    1.0 ms 1250.0 ms        0  -
slow       magnetar     500    90.0 %        0.90  150.0 ms  151.0 ms       50  closed
recovered  magnetar     400   100.0 %        1.00    1.0 ms    2.0 ms        0  closed
Tries are counted by the server; times are those of all calls, refused ones too.

failing:   75 tries of 600 calls reached the server; promised: at most 80 (20 + 10 %)
slow:      the last call was refused 345ms after the failures had ended; 98.7 % answered from 300ms on
recovered: 100.0 % of the calls answered from 300ms on; promised: at least 99 %
`, table(rows)+promises(rows))
}

func TestSummaryCountsWhatCameOfTheCalls(t *testing.T) {
	const ms = time.Millisecond
	r := summarize([]call{
		{0, 4 * ms, refused},
		{100 * ms, 3 * ms, refused},
		{settling, 2 * ms, answered},
		{400 * ms, 1 * ms, failed},
	})
	require.Equal(t, row{
		calls: 4, answered: 1, refused: 2, p50: 2 * ms, p99: 4 * ms, settled: 0.5, lastRefusal: 100 * ms,
	}, r)
	require.Equal(t, row{}, summarize(nil))
}
