package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/magnetar-go/magnetar/pool"
	"github.com/magnetar-go/magnetar/transport"
)

// maxAnswer is how much of an answer is read.
const maxAnswer = 1 << 20

// upstream is a service that this one calls: the chain over a pool of connections.
type upstream struct {
	base        *url.URL
	client      *http.Client
	connections *pool.Transport
}

func openUpstream(name string, cfg Upstream, counted *shared, t *telemetry) (*upstream, error) {
	base, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, err
	}
	opts, err := counted.outbound(name, cfg.Quota, t)
	if err != nil {
		return nil, err
	}
	connections, err := pool.NewTransport(cfg.Connections, pool.WithTelemetry(t.observer), pool.WithObserver(t.others))
	if err != nil {
		return nil, err
	}
	opts = append(opts, transport.WithTelemetry(t.observer), transport.WithObserver(t.others))
	chain := transport.New(connections, cfg.Calls, opts...)
	return &upstream{base, &http.Client{Transport: chain}, connections}, nil
}

// number is the one that the upstream has at a path.
func (u *upstream) number(ctx context.Context, path ...string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.base.JoinPath(path...).String(), nil) //nolint:gosec // the base is configured, and the path is the service's own
	if err != nil {
		return 0, err
	}
	resp, err := u.client.Do(req) //nolint:gosec // the same
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s", u.base.Host, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, err
	}
	var n *int // null is no number
	if json.Unmarshal(body, &n) != nil || n == nil || *n < 0 {
		return 0, fmt.Errorf("%s: its answer is no number from zero: %.20q", u.base.Host, body)
	}
	return *n, nil
}

// close lets what is under way finish until ctx ends.
func (u *upstream) close(ctx context.Context) error { return u.connections.Drain(ctx) }
