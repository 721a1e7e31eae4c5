package compare

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// sheet is the results of all contenders in a list of scenarios.
type sheet struct {
	scenarios  []Scenario
	contenders []contender
	cells      [][][]Result // by scenario, contender and seed
}

// figure is one thing that is read off the results.
type figure struct {
	title string
	of    func(Result) float64 // NaN: does not apply
	worst func(sorted []float64) float64
	print func(float64) string
}

func lowest(sorted []float64) float64  { return sorted[0] }
func highest(sorted []float64) float64 { return sorted[len(sorted)-1] }

func share(f float64) string   { return fmt.Sprintf("%.3f", f) }
func percent(f float64) string { return fmt.Sprintf("%.1f%%", 100*f) }
func millis(f float64) string  { return fmt.Sprintf("%.0fms", 1e3*f) }
func times(f float64) string   { return fmt.Sprintf("%.1f", f) }
func count(f float64) string   { return fmt.Sprintf("%.0f", f) }

func secondsOrNever(f float64) string {
	if math.IsInf(f, 1) {
		return "never"
	}
	return fmt.Sprintf("%.0fs", f)
}

var goodput = figure{"goodput, of what could be answered in time", func(r Result) float64 { return r.Goodput }, lowest, share}

var slowness = figure{"p99, as a multiple of the idle service's", func(r Result) float64 { return r.Slowness }, highest, times}

var figures = []figure{
	goodput,
	{"p50 of the answered", func(r Result) float64 { return r.P50.Seconds() }, highest, millis},
	{"p99 of the answered", func(r Result) float64 { return r.P99.Seconds() }, highest, millis},
	slowness,
	falseRefusals,
	{"time to settle after the last step", func(r Result) float64 { return r.settled() }, highest, secondsOrNever},
	{"critical calls answered", func(r Result) float64 { return r.Critical }, lowest, share},
	{"p99 of critical calls", func(r Result) float64 {
		if math.IsNaN(r.Critical) {
			return math.NaN()
		}
		return r.CriticalP99.Seconds()
	}, highest, millis},
	{"limit at the end", func(r Result) float64 {
		if r.Limit == math.MaxInt {
			return math.NaN()
		}
		return float64(r.Limit)
	}, lowest, count},
}

var falseRefusals = figure{"refused below capacity", func(r Result) float64 { return r.False }, highest, percent}

func (r Result) settled() float64 {
	switch {
	case r.Settled == unstepped:
		return math.NaN()
	case r.Settled < 0:
		return math.Inf(1)
	}
	return r.Settled.Seconds()
}

// print writes a table for each family and figure: of several seeds the worst
// and the median.
func (s sheet) print(w io.Writer) {
	for from := 0; from < len(s.scenarios); {
		to := from
		for to < len(s.scenarios) && s.scenarios[to].Family == s.scenarios[from].Family {
			to++
		}
		for _, f := range figures {
			s.table(w, f, from, to)
		}
		from = to
	}
}

func (s sheet) table(w io.Writer, f figure, from, to int) {
	rows := [][]string{{s.scenarios[from].Family}}
	for _, sc := range s.scenarios[from:to] {
		rows[0] = append(rows[0], sc.Name)
	}
	applies := false
	for j, c := range s.contenders {
		row := []string{c.name}
		for i := from; i < to; i++ {
			worst, median := s.read(f, i, j)
			if math.IsNaN(worst) {
				row = append(row, "")
				continue
			}
			applies = true
			cell := f.print(worst)
			if len(s.cells[i][j]) > 1 {
				cell += " / " + f.print(median)
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	if applies {
		fmt.Fprintf(w, "\n%s\n", f.title)
		align(w, rows)
	}
}

// summary writes, for each family, the worst goodput of all its scenarios and
// seeds, and the worst of all with the scenario where it was.
func (s sheet) summary(w io.Writer) {
	fmt.Fprintf(w, "\nworst goodput by family\n")
	kinds := []string{""}
	for _, sc := range s.scenarios {
		if k := kind(sc); !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	rows := [][]string{append(slices.Clone(kinds), "all", "where")}
	for j, c := range s.contenders {
		row := []string{c.name}
		for _, k := range kinds[1:] {
			worst, _ := s.worst(goodput, j, k)
			row = append(row, share(worst))
		}
		worst, where := s.worst(goodput, j, "")
		rows = append(rows, append(row, share(worst), where))
	}
	align(w, rows)

	fmt.Fprintf(w, "\nover all scenarios\n")
	rows = [][]string{{"", "goodput mean", "below 0.9", "p99 ratio mean", "refused below capacity: mean", "worst", "where"}}
	for j, c := range s.contenders {
		worst, where := s.worst(falseRefusals, j, "")
		rows = append(rows, []string{
			c.name, share(s.mean(goodput, j)), count(s.below(j, 0.9)), times(s.mean(slowness, j)),
			percent(s.mean(falseRefusals, j)), percent(worst), where,
		})
	}
	align(w, rows)
}

// kind is the first word of a family.
func kind(s Scenario) string {
	k, _, _ := strings.Cut(s.Family, " ")
	return k
}

// read returns the worst and the median over the seeds.
func (s sheet) read(f figure, scenario, contender int) (worst, median float64) {
	var values []float64
	for _, r := range s.cells[scenario][contender] {
		if v := f.of(r); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return math.NaN(), math.NaN()
	}
	slices.Sort(values)
	return f.worst(values), values[len(values)/2]
}

// worst is over all scenarios of a kind; of any for the empty kind.
func (s sheet) worst(f figure, contender int, of string) (worst float64, where string) {
	worst = math.NaN()
	for i, sc := range s.scenarios {
		if of != "" && kind(sc) != of {
			continue
		}
		v, _ := s.read(f, i, contender)
		pair := []float64{v, worst}
		slices.Sort(pair) // NaN first
		if !math.IsNaN(v) && (math.IsNaN(worst) || f.worst(pair) == v && v != worst) {
			worst, where = v, sc.Family+", "+sc.Name
		}
	}
	return worst, where
}

// mean is over the medians of all scenarios.
func (s sheet) mean(f figure, contender int) float64 {
	sum, n := 0.0, 0.0
	for i := range s.scenarios {
		if _, median := s.read(f, i, contender); !math.IsNaN(median) {
			sum += median
			n++
		}
	}
	return sum / n
}

// below counts the scenarios whose median goodput is below least.
func (s sheet) below(contender int, least float64) float64 {
	n := 0.0
	for i := range s.scenarios {
		if _, median := s.read(goodput, i, contender); median < least {
			n++
		}
	}
	return n
}

// align writes rows in columns, the first one flush left, the others right.
func align(w io.Writer, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, row := range rows {
		line := fmt.Sprintf("%-*s", widths[0], row[0])
		for i, cell := range row[1:] {
			line += fmt.Sprintf("  %*s", widths[i+1], cell)
		}
		fmt.Fprintln(w, line)
	}
}

func round(d time.Duration) string { return d.Round(time.Second).String() }
