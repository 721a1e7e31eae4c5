package pool

import (
	"net/netip"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzEndpointAddress(f *testing.F) {
	for _, seed := range []string{
		"192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:443", "fe80::1%eth0",
		"[fe80::1%eth0]:80", "::ffff:192.0.2.1", "", ":80", "host", "host:80", "192.0.2.1:0", "192.0.2.1:99999", "[[::1]]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		got, ok := endpointAddress(address, "443")
		if !ok {
			return
		}
		parsed, err := netip.ParseAddrPort(got)
		require.NoError(t, err)
		require.NotZero(t, parsed.Port())
		again, ok := endpointAddress(got, "1")
		require.True(t, ok)
		require.Equal(t, got, again)
	})
}

func FuzzTargetKey(f *testing.F) {
	for _, seed := range []string{
		"http://api.test", "https://API.test:443/x", "http://[2001:db8::1]:8080", "http://[::1]", "http://x:", "http://u@x", "http://[fe80::1%25eth0]/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.Parse(raw)
		if err != nil || u.Host == "" {
			return
		}
		k := keyOf(u, nil)
		require.NotEmpty(t, k.port)
		again := keyOf(&url.URL{Scheme: k.scheme, Host: k.urlHost()}, nil)
		require.Equal(t, k, again)
	})
}
