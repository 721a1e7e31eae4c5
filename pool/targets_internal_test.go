package pool

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestATargetThatIsGoneIsNotFoundAgain(t *testing.T) {
	t.Parallel()
	pt, err := NewTransport(TransportConfig{}, WithTelemetry(nil))
	require.NoError(t, err)
	defer pt.Close()
	u, at := &url.URL{Scheme: "http", Host: "192.0.2.1"}, momentOf(time.Now())
	first, err := pt.targets.of(u, nil, at)
	require.NoError(t, err)
	require.True(t, pt.targets.remove(first, at))
	pt.retireTarget(first)
	pt.targets.last.Store(first) // by who had found it before
	second, err := pt.targets.of(u, nil, at)
	require.NoError(t, err)
	require.NotSame(t, first, second)
}
