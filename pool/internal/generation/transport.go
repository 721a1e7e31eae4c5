package generation

import (
	"net/http"
	"time"
)

// idlePerHost is how many idle connections a generation keeps where the base
// does not say: it has one endpoint, and net/http's 2 would dial all the time.
const idlePerHost = 100

// transport makes the http.Transport of a generation, without its dialer.
func (c Config) transport(base *http.Transport, allowed idleLimit) *http.Transport {
	t := base.Clone()
	t.Proxy, t.MaxConnsPerHost = nil, 0 // a limit there hangs with HTTP/2
	if c.Proxy != nil {
		t.Proxy = http.ProxyURL(c.Proxy)
	}
	if t.MaxIdleConnsPerHost == 0 {
		t.MaxIdleConnsPerHost = max(t.MaxIdleConns, idlePerHost)
	}
	keepHTTP2(t, base)
	c.ping(t)
	c.rest(t, allowed)
	return t
}

// keepHTTP2 has t speak HTTP/2 where base does. A clone of a base that does by
// default would not, for it has a dialer of its own; and one with a foreign
// implementation would share that one's connections with all other clones.
func keepHTTP2(t, base *http.Transport) {
	if _, ok := base.TLSNextProto["h2"]; !ok { // set by Clone where it is the default
		return
	}
	delete(t.TLSNextProto, "h2")
	delete(t.TLSNextProto, "unencrypted_http2")
	if t.Protocols == nil {
		t.Protocols = new(http.Protocols)
		t.Protocols.SetHTTP1(true)
		t.Protocols.SetHTTP2(true)
	}
}

func speaksHTTP2(t *http.Transport) bool {
	if t.Protocols != nil {
		return t.Protocols.HTTP2() || unencryptedHTTP2(t)
	}
	return t.TLSNextProto == nil && t.ForceAttemptHTTP2
}

func unencryptedHTTP2(t *http.Transport) bool {
	return t.Protocols != nil && t.Protocols.UnencryptedHTTP2() && !t.Protocols.HTTP1()
}

func (c Config) ping(t *http.Transport) {
	if c.PingAfter == 0 && c.PingTimeout == 0 {
		return
	}
	if t.HTTP2 == nil {
		t.HTTP2 = new(http.HTTP2Config)
	}
	if c.PingAfter != 0 {
		t.HTTP2.SendPingTimeout = max(c.PingAfter, 0)
	}
	if c.PingTimeout > 0 {
		t.HTTP2.PingTimeout = c.PingTimeout
	}
}

// rest sets how long connections may be idle, which is no longer than allowed.
func (c Config) rest(t *http.Transport, allowed idleLimit) {
	if c.IdleTimeout != 0 {
		t.IdleConnTimeout = max(c.IdleTimeout, 0)
	}
	switch {
	case allowed == 0:
	case allowed < 0:
		t.DisableKeepAlives = true
	case t.IdleConnTimeout == 0 || t.IdleConnTimeout > time.Duration(allowed):
		t.IdleConnTimeout = time.Duration(allowed)
	}
}
