package compare

import (
	"fmt"
	"slices"
	"time"
)

func (m Model) String() string   { return [...]string{"io", "cpu"}[m] }
func (c Clients) String() string { return [...]string{"cancel", "deadline", "blind"}[c] }

// service is a scenario's lower half.
func service(model Model, slots int, mean time.Duration) Scenario {
	return Scenario{Model: model, Slots: slots, Mean: mean}
}

func (s Scenario) label() string { return fmt.Sprintf("%v%d/%v", s.Model, s.Slots, s.Mean) }

func (s Scenario) with(d distribution) Scenario {
	s.Dist = d
	return s
}

func join(lists ...[]Scenario) []Scenario { return slices.Concat(lists...) }

// steady is a service under constant loads.
func steady(s Scenario, loads ...float64) []Scenario {
	list := make([]Scenario, 0, len(loads))
	for _, load := range loads {
		s.Family = "steady " + s.label()
		if s.Dist.quantile != nil {
			s.Family += " " + s.Dist.name
		}
		s.Load, s.Name = load, fmt.Sprintf("%gx", load)
		list = append(list, s)
	}
	return list
}

// steps is a service that becomes slower, under several loads.
func steps(s Scenario) []Scenario {
	var list []Scenario
	for _, c := range []struct{ factor, load float64 }{{2, 1}, {4, 1}, {10, 1}, {10, 2}, {20, 1}} {
		list = append(list, s.step(c.load, fmt.Sprintf("%gx slower at %gx", c.factor, c.load), Step{10 * time.Second, c.factor}))
	}
	return list
}

// andBack is a service that becomes slower and recovers, and one that was slow
// from the first.
func andBack(s Scenario) []Scenario {
	return []Scenario{
		s.step(1, "4x, back after 10s", Step{10 * time.Second, 4}, Step{20 * time.Second, 1}),
		s.step(1, "10x, back after 10s", Step{10 * time.Second, 10}, Step{20 * time.Second, 1}),
		s.step(1, "4x, back after 2s", Step{10 * time.Second, 4}, Step{12 * time.Second, 1}),
		s.step(0.8, "10x faster, 0.8x", Step{0, 10}, Step{10 * time.Second, 1}),
		s.step(0.5, "2x faster, 0.5x", Step{0, 2}, Step{10 * time.Second, 1}),
	}
}

func (s Scenario) step(load float64, name string, at ...Step) Scenario {
	s.Family, s.Name, s.Load, s.Steps = "steps "+s.label(), name, load, at
	if s.Dist.quantile != nil {
		s.Family += " " + s.Dist.name
	}
	return s
}

// storm is clients who try again, up to three times.
func storm(s Scenario) []Scenario {
	s.Family, s.Retries = "retries "+s.label(), maxRetries
	slow := []Step{{10 * time.Second, 10}, {15 * time.Second, 1}}
	return []Scenario{
		s.named("0.8x", 0.8, nil),
		s.named("2x", 2, nil),
		s.named("0.8x, 10x slower for 5s", 0.8, slow),
		s.named("1.5x, 10x slower for 5s", 1.5, slow),
	}
}

// cancelling is clients of whom one in five gives up early.
func cancelling(s Scenario, loads ...float64) []Scenario {
	s.Family, s.Cancelling = "cancelling "+s.label(), 0.2
	return s.at(loads...)
}

// refusing is a service that pays for each refusal with a part of the work of a
// call.
func refusing(s Scenario, part float64, loads ...float64) []Scenario {
	s.Family = fmt.Sprintf("refusal costs %g%% %s", 100*part, s.label())
	s.RefusalCost = time.Duration(part * float64(s.Mean))
	return s.at(loads...)
}

// prioritized is clients of whom one in ten is critical.
func prioritized(s Scenario) []Scenario {
	s.Family, s.Critical = "critical "+s.label(), 0.1
	return []Scenario{
		s.named("0.8x", 0.8, nil),
		s.named("3x", 3, nil),
		s.named("4x slower at 1x", 1, []Step{{10 * time.Second, 4}}),
	}
}

// sparse is so few calls that there is nothing to learn from, and load that
// comes in bursts.
func sparse(s Scenario) []Scenario {
	s.Family = "uneven " + s.label()
	list := []Scenario{
		s.named("1/s", 1/s.capacity(), nil),
		s.named("10/s", 10/s.capacity(), nil),
	}
	s.Burst = Burst{Period: time.Second, On: 100 * time.Millisecond, Factor: 5}
	list = append(list, s.named("bursts 0.3x", 0.3, nil), s.named("bursts 0.6x", 0.6, nil))
	s.Burst = Burst{Period: 5 * time.Second, On: time.Second, Factor: 3}
	return append(list, s.named("long bursts 0.5x", 0.5, nil), s.named("long bursts 1x", 1, nil))
}

// audience is clients of whom the server knows more or less than elsewhere, or
// who wait longer or less long.
func audience(s Scenario) []Scenario {
	var list []Scenario
	slow := []Step{{10 * time.Second, 10}}
	s.Family = "clients " + s.label()
	for _, clients := range []Clients{Deadline, Blind} {
		s.Clients = clients
		list = append(list, s.named(fmt.Sprint(clients, " 2x"), 2, nil), s.named(fmt.Sprint(clients, " 10x slower"), 1, slow))
	}
	s.Clients = Cancel
	s.Timeout = 100 * time.Millisecond
	list = append(list, s.named("100ms 2x", 2, nil))
	s.Timeout = 2 * time.Second
	return append(list, s.named("2s 2x", 2, nil))
}

func (s Scenario) at(loads ...float64) []Scenario {
	list := make([]Scenario, 0, len(loads))
	for _, load := range loads {
		list = append(list, s.named(fmt.Sprintf("%gx", load), load, nil))
	}
	return list
}

func (s Scenario) named(name string, load float64, at []Step) Scenario {
	s.Name, s.Load, s.Steps = name, load, at
	return s
}
