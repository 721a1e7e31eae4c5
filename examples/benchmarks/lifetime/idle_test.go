package lifetime

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// idleTimeout is the server's, which it does not tell.
const idleTimeout = 2 * time.Millisecond

// The server closes connections when the client is about to use them again.
// net/http sends no POST twice, and nor may anybody else. How many fail is a
// matter of the machine's timing, so it is told and not required.
func TestPostsFailWhereAServerClosesIdleConnections(t *testing.T) {
	var rows []row
	for _, c := range []contender{{"pool.Transport", wrapPoolAsItIs}, plain} {
		t.Run(c.name, func(t *testing.T) { rows = append(rows, idle(t, c)) })
	}
	require.Len(t, rows, 2)
	for _, r := range rows {
		require.Less(t, r.share(), 1.0, "some must succeed")
	}
	printIdle(rows)
}

func idle(t *testing.T, c contender) row {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(page)
	}))
	s.Config.IdleTimeout = idleTimeout
	s.Start()
	defer s.Close()
	var conns connections
	rt, stop := c.wrap(t, newBase(&conns))
	defer stop()
	var l tally
	l.load(rt, s.URL, lasts(), []request{{http.MethodPost, "/", len(page)}}, func() time.Duration {
		return time.Millisecond + rand.N(2*time.Millisecond)
	})
	dialled, _ := conns.counted()
	return row{contender: c.name, requests: l.requests.Load(), failed: l.failed.Load(), dialled: dialled}
}
