package pool

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Resolver finds where a host can be reached. It is asked again and again, never
// for IP addresses, and must be safe for concurrent use.
type Resolver interface {
	// Resolve returns the addresses of host, each "ip" or "ip:port"; without a
	// port it is that of the URL. When it fails or returns none, the last ones
	// stay in use. A panic counts as a failure, and so does a call that outlasts
	// [TransportConfig].ResolveTimeout, which is when ctx ends.
	Resolve(ctx context.Context, host string) ([]string, error)
}

// ResolverFunc is a function as a [Resolver].
type ResolverFunc func(ctx context.Context, host string) ([]string, error)

// Resolve calls f.
func (f ResolverFunc) Resolve(ctx context.Context, host string) ([]string, error) {
	return f(ctx, host)
}

// SystemDNS resolves by [net.DefaultResolver]. Of a host with addresses of both
// IP versions it returns those of the version that RFC 6724 puts first, which is
// one that this machine has a route for.
func SystemDNS() Resolver { return systemDNS{} }

type systemDNS struct{}

func (systemDNS) Resolve(ctx context.Context, host string) ([]string, error) {
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, ip := range ips {
		if ip.Unmap().Is4() == ips[0].Unmap().Is4() {
			found = append(found, ip.Unmap().String())
		}
	}
	return found, nil
}

// Static resolves the hosts in addresses, whatever their case, and no others.
func Static(addresses map[string][]string) Resolver {
	s := make(static, len(addresses))
	for host, list := range addresses {
		s[strings.ToLower(host)] = slices.Clone(list)
	}
	return s
}

type static map[string][]string

func (s static) Resolve(_ context.Context, host string) ([]string, error) {
	list, ok := s[strings.ToLower(host)]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return slices.Clone(list), nil
}

// endpoints returns the usable of the addresses that a resolver found, each once,
// as "ip:port".
func endpoints(found []string, port string) []string {
	usable := make([]string, 0, len(found))
	for _, address := range found {
		if a, ok := endpointAddress(address, port); ok && !slices.Contains(usable, a) {
			usable = append(usable, a)
		}
	}
	return usable
}

func endpointAddress(address, port string) (string, bool) {
	if ap, err := netip.ParseAddrPort(address); err == nil {
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()).String(), ap.Port() != 0
	}
	ip, err := netip.ParseAddr(strings.Trim(address, "[]"))
	if err != nil {
		return "", false
	}
	return net.JoinHostPort(ip.Unmap().String(), port), true
}
