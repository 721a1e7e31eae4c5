package pool

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool/internal/generation"
)

// probes is what active probes of an endpoint have shown; guarded by target.mu.
type probes struct {
	due       moment // the next
	failed    int    // in a row
	succeeded int
}

// mostProbes may run at a time in one transport.
const mostProbes = 128

// probeDrain is how much of an answer is read, so that its connection can be
// used again.
const probeDrain = 64 << 10

// failing reports whether probes speak against the endpoint.
func (p *probes) failing(cfg *ProbeConfig) bool { return cfg != nil && p.failed >= cfg.Unhealthy }

// note takes a result in, and returns how many there were in a row.
func (p *probes) note(err error, cfg *ProbeConfig) (failed, succeeded int) {
	if err != nil {
		p.failed, p.succeeded = p.failed+1, 0
		return p.failed, 0
	}
	p.succeeded++
	if p.succeeded >= cfg.Healthy || p.failed < cfg.Unhealthy {
		p.failed = 0
	}
	return p.failed, p.succeeded
}

// planProbe sets the first probe, for endpoints with an address of their own.
func (h *health) planProbe(cfg *ProbeConfig, address string, at moment) {
	h.probes.due = never
	if cfg != nil && address != "" {
		h.probes.due = at + moment(cfg.Interval-jittered(cfg.Interval)) // soon, but not all at once
	}
}

// probe starts the probes that are due, and returns when the next one is.
func (tgt *target) probe(at moment) moment {
	cfg := tgt.transport.cfg.Probe
	if cfg == nil {
		return never
	}
	tgt.mu.Lock()
	defer tgt.mu.Unlock()
	next := never
	for _, e := range tgt.all {
		if p := &e.health.probes; p.due <= at {
			p.due = at + moment(jittered(cfg.Interval))
			if !tgt.transport.startProbe(e) {
				p.due = at + moment(cfg.Interval/10) // too many are under way
			}
		}
		next = min(next, e.health.probes.due)
	}
	return next
}

func (t *Transport) startProbe(e *endpoint) bool {
	select {
	case t.probing <- struct{}{}:
	default:
		return false
	}
	return t.background(func() {
		defer func() { <-t.probing }()
		e.probe()
	})
}

// probe asks the endpoint whether it is well, and draws the consequences.
func (e *endpoint) probe() {
	began := time.Now()
	err := e.askProbe(began)
	ended := time.Now()
	if e.transport.life.Err() != nil || e.gone() {
		return // so is whoever wanted to know
	}
	cfg, tgt := e.transport.cfg.Probe, e.target
	tgt.mu.Lock()
	failed, succeeded := e.health.probes.note(err, cfg)
	tgt.mu.Unlock()

	d := policy.Decision{Action: policy.ActionProbe, Reason: policy.ReasonProbeSucceeded, Began: began, Took: ended.Sub(began), Err: err}
	if err != nil {
		d.Reason, d.Failures = policy.ReasonProbeFailed, failed
	}
	if err != nil && failed <= cfg.Unhealthy || err == nil && succeeded <= cfg.Healthy { // else nothing is new
		e.watch.Note(context.Background(), d)
	}
	switch at := momentOf(ended); {
	case err != nil && failed >= cfg.Unhealthy:
		tgt.eject(context.Background(), e, at, policy.Decision{Reason: policy.ReasonProbeFailed, Failures: failed, Err: err})
	case err == nil && succeeded >= cfg.Healthy:
		tgt.returnProbed(e, at)
	}
}

func (e *endpoint) askProbe(began time.Time) error {
	cfg, key := e.transport.cfg.Probe, e.target.key
	ctx, cancel := context.WithTimeout(e.transport.life, cfg.Timeout)
	defer cancel()
	u, err := probeURL(cfg.Path)
	if err != nil {
		return err
	}
	u.Scheme, u.Host = key.scheme, key.urlHost()
	req := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{"User-Agent": {"magnetar-probe"}}}
	resp, err := e.set.RoundTrip(req.WithContext(ctx), unjudged{}, began, policy.Permit{})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err = io.CopyN(io.Discard, resp.Body, probeDrain); err != nil && err != io.EOF {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

func probeURL(path string) (*url.URL, error) { return url.ParseRequestURI(path) }

// unjudged owns exchanges that are no user's.
type unjudged struct{}

var _ generation.Owner = unjudged{}

func (unjudged) Headers(*generation.Exchange, *http.Response, error) {}
func (unjudged) Ended(*generation.Exchange, error)                   {}
