package compare

import "time"

// Scenario is a service and those who call it.
type Scenario struct {
	Family string // the table it stands in
	Name   string

	Model       Model
	Slots       int           // cores, or connections
	Mean        time.Duration // of a service
	Dist        distribution
	Steps       []Step        // in order
	RefusalCost time.Duration // of CPU, for each refused call

	Load       float64 // calls, as a multiple of the capacity before any step
	Burst      Burst
	Clients    Clients
	Timeout    time.Duration
	Critical   float64 // share of critical calls
	Cancelling float64 // share of clients who give up early
	Retries    int     // of a call that was refused or came too late

	Warmup, Measured time.Duration
}

// Model is what a service is short of.
type Model uint8

// Models.
const (
	IO  Model = iota // connections
	CPU              // cores
)

// Clients is what a server learns of how long its clients wait.
type Clients uint8

// Clients.
const (
	Cancel   Clients = iota // that they have gone, when they have
	Deadline                // their deadline beforehand
	Blind                   // nothing
)

// Step changes how long services take, as a multiple of what they took at
// first.
type Step struct {
	At     time.Duration
	Factor float64
}

// Burst multiplies the load for the first part of each period, and lowers it
// for the rest so that the mean stays.
type Burst struct {
	Period, On time.Duration
	Factor     float64
}

// Result is what came of one run. Shares and times are of the measured part.
type Result struct {
	Goodput  float64       // answered in time, of what could have been
	P50, P99 time.Duration // from arrival to answer, of those in time
	Slowness float64       // P99 as a multiple of the service's own
	False    float64       // share of tries refused while there was room on average
	Settled  time.Duration // after the last step; negative: never
	Limit    int           // at the end

	Critical    float64 // share of critical calls that were answered in time
	CriticalP99 time.Duration
}

func (s Scenario) withDefaults() Scenario {
	s.Timeout = or(s.Timeout, 500*time.Millisecond)
	s.Mean = or(s.Mean, 10*time.Millisecond)
	s.Warmup = or(s.Warmup, 10*time.Second)
	s.Measured = or(s.Measured, 20*time.Second)
	if s.Dist.quantile == nil {
		s.Dist = exponential
	}
	return s
}

// capacity is how many calls per second the service can answer before any step.
func (s Scenario) capacity() float64 { return float64(s.Slots) / s.Mean.Seconds() }

// rate is how many calls per second arrive at a time since the start.
func (s Scenario) rate(at time.Duration) float64 {
	mean := s.Load * s.capacity()
	if s.Burst.Period == 0 {
		return mean
	}
	on := s.Burst.On.Seconds() / s.Burst.Period.Seconds()
	if at%s.Burst.Period < s.Burst.On {
		return mean * s.Burst.Factor
	}
	return mean * (1 - on*s.Burst.Factor) / (1 - on)
}

// factor is how slow the service is at a time since the start.
func (s Scenario) factor(at time.Duration) float64 {
	factor := 1.0
	for _, step := range s.Steps {
		if step.At <= at {
			factor = step.Factor
		}
	}
	return factor
}

// room is how many calls the service can end from one time to another when more
// come than it can take: what is left after the refusals of all others.
func (s Scenario) room(from, to time.Duration) float64 {
	cores := float64(s.Slots) / s.factor(from)
	refusing := s.Load * s.capacity() * s.RefusalCost.Seconds() // cores, were all refused
	return max(0, cores-refusing) / (s.Mean - s.RefusalCost).Seconds() * (to - from).Seconds()
}

// overloaded reports whether more is asked for than the service can do.
func (s Scenario) overloaded(at time.Duration) bool { return s.Load*s.factor(at) >= 1 }

// slowest is the greatest factor in the measured part.
func (s Scenario) slowest() float64 {
	slowest := s.factor(s.Warmup)
	for _, step := range s.Steps {
		if step.At >= s.Warmup {
			slowest = max(slowest, step.Factor)
		}
	}
	return slowest
}

func (s Scenario) server() server {
	if s.Model == CPU {
		return newProcessor(s.Slots)
	}
	return newPool(s.Slots)
}

func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}
