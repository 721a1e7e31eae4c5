package middleware

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/go-chi/chi/v5/middleware"
)

// KeyFunc tells by what a request is counted: those of one key share a quota. An
// empty key means that the request has none, see [WithKeyRequired]. It runs for
// every request, on its goroutine.
//
// The key is seen by observers and in spans; clients never see it. Keys of more
// than 64 bytes are counted, and shown, by their SHA-256.
type KeyFunc func(*http.Request) string

// ByPeerIP counts by the address of whoever opened the connection: IPv4 by the
// whole address, IPv6 by its /64, since that is what one customer has at least.
// IPv4 addresses mapped into IPv6 count as IPv4; zones are left out. Behind a
// proxy the peer is the proxy: use [ByClientIP].
func ByPeerIP(r *http.Request) string { return peerKey(r.RemoteAddr, wholeIPv4, customerIPv6) }

// ByPeerIPPrefix is [ByPeerIP] with the lengths of the prefixes that count as one
// client: v4 from 1 to 32, v6 from 1 to 128. It panics on others.
func ByPeerIPPrefix(v4, v6 int) KeyFunc {
	if v4 < 1 || v4 > wholeIPv4 || v6 < 1 || v6 > 128 {
		panic("magnetar: invalid prefix: v4 must be between 1 and 32, v6 between 1 and 128")
	}
	return func(r *http.Request) string { return peerKey(r.RemoteAddr, v4, v6) }
}

// ByClientIP counts by the address that one of chi's ClientIPFrom… middlewares
// has found, which must come first; prefixes are as with [ByPeerIP]. Where none
// has found an address there is no key. X-Forwarded-For and its like are not
// looked at here: any client can write what it likes into their left end.
func ByClientIP(r *http.Request) string {
	return addrKey(middleware.GetClientIPAddr(r.Context()), wholeIPv4, customerIPv6)
}

// ByHeader counts by the value of a header field, the first if there are
// several. Use it only for what was verified before, such as an API key that a
// middleware further out has looked up: a client that may choose its key has as
// many quotas as it likes. Since keys are shown in spans, count by whom a secret
// belongs to rather than by the secret.
func ByHeader(name string) KeyFunc {
	name = http.CanonicalHeaderKey(name)
	return func(r *http.Request) string {
		if values := r.Header[name]; len(values) > 0 {
			return values[0]
		}
		return ""
	}
}

const (
	wholeIPv4    = 32
	customerIPv6 = 64
)

// peerKey is the key of an address with or without a port, or empty if remote is
// none.
func peerKey(remote string, v4, v6 int) string {
	host := hostOf(remote)
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	if addr.Is4() && v4 == wholeIPv4 {
		return host // IPv4 is written in one way only
	}
	return addrKey(addr, v4, v6)
}

// hostOf is remote without its port. Whether it is an address is not looked at.
func hostOf(remote string) string {
	if strings.HasPrefix(remote, "[") {
		host, _, _ := strings.Cut(remote[1:], "]")
		return host
	}
	if i := strings.IndexByte(remote, ':'); i >= 0 && strings.IndexByte(remote[i+1:], ':') < 0 {
		return remote[:i]
	}
	return remote // no port, or IPv6 without brackets
}

func addrKey(addr netip.Addr, v4, v6 int) string {
	addr = addr.Unmap().WithZone("")
	bits := v6
	if addr.Is4() {
		bits = v4
	}
	if bits == addr.BitLen() {
		return addr.String()
	}
	prefix, err := addr.Prefix(bits)
	if err != nil || !prefix.IsValid() {
		return ""
	}
	var buf [len("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128")]byte
	return string(prefix.AppendTo(buf[:0]))
}
