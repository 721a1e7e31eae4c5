package generation

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

// exchangeContext is an exchange seen as the context of its request: the
// caller's, with hooks that compose with the caller's own.
type exchangeContext Exchange

// exchangeKey finds the exchange that a dial is made for.
type exchangeKey struct{}

func (c *exchangeContext) Deadline() (time.Time, bool) { return c.parent.Deadline() }
func (c *exchangeContext) Done() <-chan struct{}       { return c.parent.Done() }
func (c *exchangeContext) Err() error                  { return c.parent.Err() }

func (c *exchangeContext) Value(key any) any {
	switch key {
	case traceKey:
		return &c.trace
	case exchangeKey{}:
		return (*Exchange)(c)
	}
	return c.parent.Value(key)
}

// traceKey is the key under which net/http looks for the hooks: learned by
// asking it.
var traceKey = func() any {
	var k keyProbe
	httptrace.ContextClientTrace(&k)
	return k.key
}()

type keyProbe struct {
	context.Context
	key any
}

func (p *keyProbe) Value(k any) any {
	p.key = k
	return nil
}

// gotConn is told which connection the request goes out on, before it does. It
// runs on the goroutine of the round trip.
func (x *Exchange) gotConn(info httptrace.GotConnInfo) {
	if c := trackedConn(info.Conn); c != nil {
		x.pick(c, info)
		if info.Conn == c {
			info.Conn = c.Conn
		}
	}
	if x.theirGotConn != nil {
		x.theirGotConn(info)
	}
}

func (x *Exchange) pick(c *conn, info httptrace.GotConnInfo) {
	if x.conn != nil {
		x.conn.drop() // it is sent again
	}
	c.pick()
	c.learn(info.Conn)
	x.conn, x.idle, x.Connected, x.Reused = c, info.IdleTime, true, info.Reused
	x.Age = max(time.Duration(x.now-c.born), 0)
	x.picks.Add(1)
	g := x.generation
	if p := c.protocol.Load(); g.set.protocol.Load() != p {
		g.set.protocol.Store(p)
	}
	g.gate.picked(x, c)
	x.acquired()
	x.age(c)
}

// acquired tells the decision, where somebody looks.
func (x *Exchange) acquired() {
	watch := x.generation.set.config.Watch
	if !watch.Wants(x.parent) {
		return
	}
	d := policy.Decision{Action: policy.ActionAcquire, Age: x.Age, Reused: x.Reused}
	if x.dialled.Load() && !x.Began.IsZero() {
		d.Began, d.Took = x.Began, time.Since(x.Began)
	}
	watch.Tell(x.parent, d)
}

// age asks the server to close the connection once it is past its time. A server
// that was asked before and keeps it has the whole generation left.
func (x *Exchange) age(c *conn) {
	if x.now < c.expires || x.parent.Err() != nil || x.upgrades() || !x.mark() {
		x.unmark(c)
		return
	}
	switch {
	case !c.marked.Swap(true):
		c.note(x.parent, policy.ReasonLifetime)
	case c.protocol.Load() == http1:
		x.generation.set.replace(x.parent, x.generation, policy.ReasonIgnoredClose, "")
	}
}

// mark sets the header, not Request.Close: that one net/http has copied by now
// where there is a body. It fails where the headers had to be copied before and
// were not.
func (x *Exchange) mark() bool {
	if !x.ownHeader {
		if x.hasBody() {
			return false
		}
		x.copyHeader()
	}
	x.marked = true
	x.out.Header["Connection"] = []string{closing(x.Request.Header["Connection"])}
	return true
}

// unmark takes it back for a connection that is young: the request is sent again.
func (x *Exchange) unmark(c *conn) {
	if !x.marked || x.now >= c.expires {
		return
	}
	x.marked = false
	if theirs, ok := x.Request.Header["Connection"]; ok {
		x.out.Header["Connection"] = theirs
	} else {
		delete(x.out.Header, "Connection")
	}
}

// closing adds close to what the caller says of the connection.
func closing(theirs []string) string {
	said := strings.Join(theirs, ", ")
	if said == "" || strings.EqualFold(said, "keep-alive") {
		return "close" // the only form that HTTP/2 takes
	}
	return said + ", close"
}

func (x *Exchange) upgrades() bool { return upgrades(x.Request) }

func upgrades(r *http.Request) bool { return len(r.Header["Upgrade"]) > 0 }
