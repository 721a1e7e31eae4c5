package pool

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A dead connection that nobody pings keeps getting requests for minutes.
func TestQuietConnectionsArePingedUnlessTheBaseSaysOtherwise(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		base           *http.Transport
		after, timeout time.Duration
	}{
		"default":        {http.DefaultTransport.(*http.Transport), 15 * time.Second, 5 * time.Second},
		"the base's":     {&http.Transport{HTTP2: &http.HTTP2Config{SendPingTimeout: time.Minute, PingTimeout: time.Second}}, time.Minute, time.Second},
		"in part":        {&http.Transport{HTTP2: &http.HTTP2Config{PingTimeout: time.Second}}, 15 * time.Second, time.Second},
		"no HTTP/2 part": {&http.Transport{}, 15 * time.Second, 5 * time.Second},
	} {
		pt, err := NewTransport(TransportConfig{}, WithBase(c.base))
		require.NoError(t, err)
		pings := pt.base.Load().HTTP2
		require.Equal(t, c.after, pings.SendPingTimeout, name)
		require.Equal(t, c.timeout, pings.PingTimeout, name)
		require.NoError(t, pt.Close())
	}
	require.Nil(t, http.DefaultTransport.(*http.Transport).HTTP2, "it is somebody else's")
}
