package overload

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"github.com/magnetar-go/magnetar/examples/benchmarks/internal/contender"
)

// settling is how long a run goes on before it is measured, and how long after
// the resource has turned slow.
const settling = 1500 * time.Millisecond

// scenario is what all contenders are put through.
type scenario struct {
	name     string
	load     float64 // of what the resource can do while it is well
	slow     int64   // the resource turns slower so many times; 1: it does not
	critical float64
	measured time.Duration
	abreast  int     // contenders at a time, that the machine can bear it
	floor    float64 // of the kit's goodput, far below what is to be reached
}

var scenarios = []scenario{
	{name: "2× load", load: 2, slow: 1, measured: 3 * time.Second, abreast: 4, floor: 0.7},
	{name: "5× load", load: 5, slow: 1, measured: 2 * time.Second, abreast: 2, floor: 0.7},
	{name: "10× load", load: 10, slow: 1, measured: time.Second, abreast: 1, floor: 0.5},
	{name: "1.5× load, resource 4× slower", load: 1.5, slow: 4, measured: 2500 * time.Millisecond, abreast: 4, floor: 0.6},
	{name: "1.5× load, resource 10× slower", load: 1.5, slow: 10, measured: 3500 * time.Millisecond, abreast: 4, floor: 0.5},
	{name: "3× load, a tenth of it critical", load: 3, slow: 1, critical: 0.1, measured: 3 * time.Second, abreast: 2, floor: 0.7},
}

func (s scenario) contenders() []contender.Contender {
	server := contender.Server{Slots: slots, Rate: capacity}
	if s.critical > 0 {
		return contender.Prioritised(server)
	}
	return contender.All(server)
}

// outcome is what a contender made of a scenario.
type outcome struct {
	contender string
	goodput   float64 // of what the resource could do
	tally             // of all
	critical  tally   // of the critical ones alone
	capacity  float64 // per second
	nominal   float64 // what it is meant to be
}

// run puts all contenders through s, a few at a time, and tells of each when it
// is done.
func (s scenario) run(all []contender.Contender, done func(outcome)) []outcome {
	outcomes := make([]outcome, len(all))
	places := make(chan struct{}, s.abreast)
	var wg sync.WaitGroup
	for i, c := range all {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			outcomes[i] = s.measure(c)
			done(outcomes[i])
		})
	}
	wg.Wait()
	return outcomes
}

func (s scenario) measure(c contender.Contender) outcome {
	resource := newResource()
	server := httptest.NewServer(c.Wrap(resource))
	defer server.Close()
	base := &http.Transport{MaxIdleConnsPerHost: 1000}
	defer base.CloseIdleConnections()

	from := settling
	if s.slow > 1 {
		turns := time.AfterFunc(settling, func() { resource.slow.Store(s.slow) })
		defer turns.Stop()
		from += settling
	}
	counted := time.AfterFunc(from, resource.reset)
	defer counted.Stop()

	l := load{rate: s.load * float64(capacity), lasting: from + s.measured, critical: s.critical, seed: 1}
	requests := l.send(&http.Client{Transport: base}, server.URL)
	rate := resource.rate()
	o := outcome{contender: c.Name, capacity: rate, nominal: float64(capacity) / float64(s.slow)}
	o.tally = tallyOf(requests, func(r request) bool { return r.at >= from })
	o.critical = tallyOf(requests, func(r request) bool { return r.at >= from && r.critical })
	answered := 0
	for _, r := range requests {
		if ends := r.at + r.took; r.ok && ends >= from && ends < l.lasting {
			answered++
		}
	}
	o.goodput = float64(answered) / (rate * s.measured.Seconds())
	return o
}

// tally is of some requests, by when they arrived.
type tally struct {
	answered float64 // share
	p50, p99 time.Duration
}

func tallyOf(requests []request, counts func(request) bool) tally {
	all, took := 0, []time.Duration(nil)
	for _, r := range requests {
		if !counts(r) {
			continue
		}
		all++
		if r.ok {
			took = append(took, r.took)
		}
	}
	if len(took) == 0 {
		return tally{}
	}
	slices.Sort(took)
	return tally{
		answered: float64(len(took)) / float64(all),
		p50:      took[len(took)/2],
		p99:      took[len(took)*99/100],
	}
}
