package pool

import (
	"net/netip"
	"net/url"
	"strings"
)

// targetKey is what requests have in common that may use the same connections.
type targetKey struct{ scheme, host, port, proxy string }

// keyOf allocates nothing for a host in lower case.
func keyOf(u *url.URL, proxy *url.URL) targetKey {
	host, port := u.Host, ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 && i > strings.LastIndexByte(host, ']') {
		host, port = host[:i], host[i+1:]
	}
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	if port == "" {
		port = portOf(u.Scheme)
	}
	k := targetKey{scheme: u.Scheme, host: strings.ToLower(host), port: port}
	if proxy != nil {
		k.proxy = proxy.String()
	}
	return k
}

// String is "scheme://host:port".
func (k targetKey) String() string { return k.scheme + "://" + k.bracketed() + ":" + k.port }

// urlHost is how URLs mostly spell the host: without the scheme's own port.
func (k targetKey) urlHost() string {
	if k.port == portOf(k.scheme) {
		return k.bracketed()
	}
	return k.bracketed() + ":" + k.port
}

func (k targetKey) bracketed() string {
	if strings.Contains(k.host, ":") {
		return "[" + k.host + "]"
	}
	return k.host
}

func portOf(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// fixedAddresses are those of a target that needs no resolver. An empty one
// stands for what net/http dials: a proxy, or a name that it has to encode.
func (k targetKey) fixedAddresses() []string {
	if k.proxy != "" || strings.ContainsFunc(k.host, func(r rune) bool { return r > '~' }) {
		return []string{""}
	}
	if _, err := netip.ParseAddr(k.host); err == nil {
		return endpoints([]string{k.host}, k.port)
	}
	return nil
}
