package transport

import (
	"net/http"
	"strings"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// Row 1, the guard: what the chain is not for, and under which key the rest
// runs.

// isUpgrade reports whether the connection may change its protocol: then it
// belongs to the caller for as long as it likes, and no row applies.
func isUpgrade(req *http.Request) bool {
	return len(req.Header["Upgrade"]) > 0 || req.Method == http.MethodConnect
}

func (t *Transport) bypass(req *http.Request) (*http.Response, error) {
	if ctx := req.Context(); t.wants(ctx) {
		t.observer.Observe(ctx, policy.Decision{
			Policy: policy.PolicyGuard, Action: policy.ActionBypass, Reason: policy.ReasonUpgrade,
			Key: t.keyFor(req).String(), Began: time.Now(),
		})
	}
	return t.base.RoundTrip(req)
}

// key is what calls have in common that share policies.
type key struct{ scheme, host, port string }

// String is scheme://host:port, or what the user's key function returned.
func (k key) String() string {
	if k.scheme == "" {
		return k.host
	}
	host := k.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return k.scheme + "://" + host + ":" + k.port
}

// urlHost is how URLs mostly spell the host: without the scheme's own port.
func (k key) urlHost() string {
	host := k.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if k.port == portOf(k.scheme) {
		return host
	}
	return host + ":" + k.port
}

func portOf(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// keyFor allocates nothing for a host in lower case.
func (t *Transport) keyFor(req *http.Request) key {
	if t.keyOf != nil {
		return key{host: t.keyOf(req)}
	}
	host, port := req.URL.Host, ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 && i > strings.LastIndexByte(host, ']') {
		host, port = host[:i], host[i+1:]
	}
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	if port == "" {
		port = portOf(req.URL.Scheme)
	}
	return key{req.URL.Scheme, strings.ToLower(host), port}
}

// eventStream reports whether the caller asks for server-sent events, which
// have no time of their own.
func eventStream(h http.Header) bool {
	v := h["Accept"]
	return len(v) > 0 && strings.Contains(v[0], "text/event-stream")
}
