package middleware

import (
	"net/http"
	"net/netip"
)

// WithTrustedPeers believes the priority and deadline headers of requests whose
// connection comes from one of prefixes: a proxy's, a mesh's. Addresses of IPv4
// match in either form, and IPv6 zones do not count. Default: nobody is trusted.
//
// It looks at r.RemoteAddr, which must still be the peer's own: a middleware
// that puts a header's address there has to come after.
func WithTrustedPeers(prefixes ...netip.Prefix) Option {
	return optionFunc(func(s *settings) {
		for _, p := range prefixes {
			s.trust.prefixes = append(s.trust.prefixes, unmapped(p))
		}
	})
}

// WithTrust believes the priority and deadline headers of requests for which f
// returns true: over a Unix socket, with a client's certificate. It adds to
// [WithTrustedPeers]. Default: nobody is trusted.
func WithTrust(f func(*http.Request) bool) Option {
	return optionFunc(func(s *settings) {
		if f != nil {
			s.trust.by = append(s.trust.by, f)
		}
	})
}

// trust says whose headers count. The zero value trusts nobody.
type trust struct {
	prefixes []netip.Prefix
	by       []func(*http.Request) bool
}

func (t *trust) trusts(r *http.Request) bool {
	for _, f := range t.by {
		if f(r) {
			return true
		}
	}
	return len(t.prefixes) > 0 && t.contains(r.RemoteAddr)
}

func (t *trust) contains(remote string) bool {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	addr := peer.Addr().Unmap().WithZone("")
	for _, p := range t.prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// unmapped is p as a prefix of IPv4 addresses, where it can be said so.
func unmapped(p netip.Prefix) netip.Prefix {
	const mapped = 96 // bits before an IPv4 address within an IPv6 one
	if p.Addr().Is4In6() && p.Bits() >= mapped {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	return p
}
