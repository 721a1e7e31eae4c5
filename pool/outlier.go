package pool

import (
	"cmp"
	"context"
	"slices"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool/internal/outlier"
)

// Passive ejection: by how requests end, with what Envoy calls outlier
// detection.

// succeeded notes a request that ended well.
func (e *endpoint) succeeded(began moment) {
	if e.judged() {
		e.tally.success(began)
	}
}

// failed notes one that did not, and ejects the endpoint when it was one too
// many in a row.
func (e *endpoint) failed(ctx context.Context, began, at moment, err error) {
	if !e.judged() {
		return
	}
	n, limit := e.tally.failure(began), e.transport.cfg.Outlier.Consecutive
	if n == 0 || limit <= 0 || n%limit != 0 { // where it cannot be ejected, the next try can wait
		return
	}
	e.target.eject(ctx, e, at, policy.Decision{Reason: policy.ReasonFailuresInARow, Failures: n, Err: err})
}

func (e *endpoint) judged() bool { return e.target != nil && e.transport.cfg.Outlier != nil }

// compares reports whether success rates are.
func (o *OutlierConfig) compares() bool { return o != nil && o.StdevFactor > 0 }

// compare ejects those that succeed far less often than the others, the worst
// first, and returns when that is due again.
func (tgt *target) compare(at moment) moment {
	o := tgt.transport.cfg.Outlier
	if !o.compares() {
		return never
	}
	tgt.mu.Lock()
	due := tgt.comparedAt + moment(o.Interval)
	if len(tgt.all) < o.MinEndpoints {
		tgt.comparedAt = at
		tgt.mu.Unlock()
		return never // a change of the endpoints wakes the keeper
	}
	if at < due {
		tgt.mu.Unlock()
		return due
	}
	tgt.comparedAt = at
	all := slices.Clone(tgt.all)
	healthy := slices.DeleteFunc(slices.Clone(tgt.all), func(e *endpoint) bool { return e.health.ejected })
	tgt.mu.Unlock()

	for _, worse := range outliers(all, healthy, o) {
		tgt.eject(context.Background(), worse.endpoint, at, policy.Decision{
			Reason: policy.ReasonSuccessRate, Calls: worse.calls, Failures: worse.failures,
		})
	}
	return at + moment(o.Interval)
}

type record struct {
	endpoint        *endpoint
	calls, failures int
	rate            outlier.Rate
}

// outliers ends the interval of all, and returns those of the healthy that are
// outliers, the worst first.
func outliers(all, healthy []*endpoint, o *OutlierConfig) []record {
	var records []record
	var rates []outlier.Rate
	for _, e := range all {
		calls, failures := e.tally.interval()
		if calls < o.MinRequests || !slices.Contains(healthy, e) {
			continue
		}
		r := record{e, calls, failures, 1 - outlier.Rate(failures)/outlier.Rate(calls)}
		records, rates = append(records, r), append(rates, r.rate)
	}
	if len(records) < o.MinEndpoints {
		return nil
	}
	floor := outlier.Floor(rates, o.StdevFactor)
	records = slices.DeleteFunc(records, func(r record) bool { return r.rate >= floor })
	slices.SortFunc(records, func(a, b record) int { return cmp.Compare(a.rate, b.rate) })
	return records
}
