package compare

import "time"

// scenarios by name. Tuning and reported ones share no service and no seed.
var scenarios = map[string]struct {
	list func() []Scenario
	seed uint64 // the first
}{
	"tuning":   {tuning, 1},
	"reported": {reported, 101},
}

// tuning are the scenarios that a limit may be tuned on.
func tuning() []Scenario {
	const mean = 8 * time.Millisecond
	io4, io16, io48 := service(IO, 4, mean), service(IO, 16, 2*mean), service(IO, 48, 5*mean)
	cpu3, cpu16 := service(CPU, 3, mean), service(CPU, 16, 2*mean)
	return join(
		steady(io4, 0.4, 0.6, 0.8, 1, 2, 6), steady(cpu3, 0.4, 0.6, 0.8, 1, 2, 6),
		steady(io48, 0.6, 1, 2), steady(cpu16, 0.6, 1, 2, 6),
		steady(io16.with(constant), 0.6, 1, 2), steady(io16.with(lognormal), 0.6, 1, 2), steady(io16.with(bimodal), 0.6, 1, 2),
		steps(io4), steps(cpu3), steps(io16), steps(io48), steps(cpu16),
		andBack(io4), andBack(cpu16),
		storm(io16), cancelling(io16, 0.8, 2), refusing(cpu3, 0.02, 2, 6),
		prioritized(io4), prioritized(cpu16), sparse(io16), audience(io4),
	)
}

// reported are the scenarios by which limits are compared. Nothing may be tuned
// on them.
func reported() []Scenario {
	const fast, mean, long = 3 * time.Millisecond, 10 * time.Millisecond, 40 * time.Millisecond
	io1, io2, io8, io32, io64 := service(IO, 1, fast), service(IO, 2, mean), service(IO, 8, mean), service(IO, 32, long), service(IO, 64, long)
	cpu1, cpu2, cpu8, cpu32 := service(CPU, 1, fast), service(CPU, 2, mean), service(CPU, 8, mean), service(CPU, 32, long)
	loads := []float64{0.3, 0.5, 0.8, 1, 2, 5, 10}
	return join(
		steady(io1, loads...), steady(io8, loads...), steady(io64, 0.3, 0.5, 0.8, 1, 2),
		steady(cpu1, 0.3, 0.5, 0.8, 1, 2), steady(cpu2, loads...), steady(cpu32, 0.3, 0.5, 0.8, 1, 2, 5),
		steady(io8.with(constant), 0.5, 1, 2), steady(io8.with(lognormal), 0.5, 1, 2),
		steady(cpu8.with(pareto), 0.5, 1, 2), steady(io8.with(bimodal), 0.5, 1, 2),
		steps(io2), steps(io8), steps(io32), steps(io64)[1:3], steps(cpu2), steps(cpu8), steps(cpu32)[1:3],
		steps(cpu8.with(lognormal))[1:3], steps(io8.with(constant))[1:3],
		andBack(io2), andBack(io8), andBack(cpu2), andBack(cpu32),
		storm(io8), storm(cpu2), cancelling(io8, 0.5, 0.8, 2, 5), cancelling(cpu2, 0.5, 2),
		refusing(cpu8, 0.02, 2, 10), refusing(cpu2, 0.05, 0.8, 2, 5, 10),
		prioritized(io2), prioritized(io8), prioritized(io64), prioritized(cpu2), prioritized(cpu32),
		sparse(io8), sparse(cpu2), audience(io8), audience(cpu2),
	)
}

// short is a few of each kind.
func short(list []Scenario) []Scenario {
	var few []Scenario
	for i, s := range list {
		if i%12 == 4 {
			few = append(few, s)
		}
	}
	return few
}
