package pool

// leastShare is what an endpoint gets at the beginning of its slow start, so
// that it gets something at all.
const leastShare = 0.1

// start begins the slow start of an endpoint, where there is one.
func (e *endpoint) start(at moment) {
	if e.transport.cfg.SlowStart > 0 {
		e.started.Store(int64(at-1) | 1) // not 0, and not in the future
	}
}

// share is the part of its requests that an endpoint is to get.
func (e *endpoint) share(at moment) float64 {
	started := e.started.Load()
	if started == 0 {
		return 1
	}
	share := float64(at.since(moment(started))) / float64(e.transport.cfg.SlowStart)
	if share >= 1 {
		e.started.CompareAndSwap(started, 0)
		return 1
	}
	return max(share, leastShare)
}
