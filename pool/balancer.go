package pool

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Balancer chooses the endpoint that a request goes to.
type Balancer interface {
	// Pick returns the index of one of the candidates, of which there are at
	// least two. It must be quick, safe for concurrent use, and not keep the
	// candidates. Where it panics, or its index is none, [PowerOfTwo] chooses;
	// the first time is told, and stays in the [Snapshot].
	Pick(candidates Candidates) int
}

// Candidates are the endpoints that may get a request: those in health, less
// those that are full or where the call was already, if others are left.
type Candidates struct {
	list []*endpoint
	at   moment
}

// Len is how many there are.
func (c Candidates) Len() int { return len(c.list) }

// At returns candidate i, from 0 to Len()-1.
func (c Candidates) At(i int) Candidate {
	e := c.list[i]
	return Candidate{
		Address:  e.address,
		InFlight: e.inFlight(),
		Latency:  e.latency.at(c.at),
		Share:    e.share(c.at),
	}
}

// Candidate is an endpoint as a [Balancer] sees it.
type Candidate struct {
	Address  string        // "ip:port"
	InFlight int           // requests there now, those that wait for their turn included
	Latency  time.Duration // smoothed time to the response headers, fading while it is not asked; zero: not known
	Share    float64       // of the requests it is to get during its slow start; then 1
}

// PowerOfTwo takes two endpoints at random and chooses the one where a request
// will wait less: by the requests in flight there, times its latency
// (Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001).
// One in its slow start is passed by as often as its share says.
func PowerOfTwo() Balancer { return powerOfTwo{} }

type powerOfTwo struct{}

func (powerOfTwo) Pick(c Candidates) int {
	i, j := rand.IntN(c.Len()), rand.IntN(c.Len()-1)
	if j >= i {
		j++
	}
	a, b := c.At(i), c.At(j)
	switch passA, passB := passed(a), passed(b); {
	case passA && !passB:
		return j
	case passB && !passA:
		return i
	}
	if wait(b, a) < wait(a, b) {
		return j
	}
	return i
}

// passed reports whether a candidate in its slow start is left out this time.
func passed(c Candidate) bool { return c.Share < 1 && rand.Float64() >= c.Share }

// wait is how long a request may have to wait at c. Where nothing is known of
// one of two, their latencies are taken to be alike.
func wait(c, other Candidate) float64 {
	if c.Latency == 0 || other.Latency == 0 {
		return float64(c.InFlight + 1)
	}
	return float64(c.InFlight+1) * float64(c.Latency)
}

// RoundRobin takes one endpoint after the other. One in its slow start is passed
// by as often as its share says.
func RoundRobin() Balancer { return new(roundRobin) }

type roundRobin struct{ next atomic.Uint32 }

func (r *roundRobin) Pick(c Candidates) int {
	n := uint32(c.Len())
	i := r.next.Add(1) % n
	if passed(c.At(int(i))) {
		i = (i + 1) % n
	}
	return int(i)
}

// choose asks b. Where that fails [PowerOfTwo] chooses, and the error says why.
func choose(b Balancer, c Candidates) (*endpoint, error) {
	if c.Len() == 1 {
		return c.list[0], nil
	}
	i, err := consult(b, c)
	if err != nil {
		i = powerOfTwo{}.Pick(c)
	}
	return c.list[i], err
}

func consult(b Balancer, c Candidates) (i int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the balancer panicked: %v", p)
		}
	}()
	if i = b.Pick(c); i < 0 || i >= c.Len() {
		return 0, fmt.Errorf("the balancer chose %d of %d", i, c.Len())
	}
	return i, nil
}
