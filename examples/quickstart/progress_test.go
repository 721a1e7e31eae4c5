package main

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProgressIsALineASecondWhereNoTerminalIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kit := &client{name: "magnetar", breaker: func() string { return "open" }}
		bare := &client{name: "bare", breaker: none}
		kit.counts[refused].Add(3)
		bare.counts[failed].Add(4)
		var out strings.Builder
		stop := showProgress(&out, phase{name: "failing", mood: mood{status: http.StatusServiceUnavailable}}, []*client{kit, bare})
		time.Sleep(2500 * time.Millisecond)
		stop()
		require.Equal(t, `failing    1.0 s | magnetar: 0 answered, 0 failed, 3 refused, open | bare: 0 answered, 4 failed, 0 refused
failing    2.0 s | magnetar: 0 answered, 0 failed, 3 refused, open | bare: 0 answered, 4 failed, 0 refused
`, out.String())
	})
}
