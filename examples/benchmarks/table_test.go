package benchmarks

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if f := flag.Lookup("test.bench"); f != nil && f.Value.String() != "" && code == 0 {
		table.print(os.Stdout)
	}
	os.Exit(code)
}

// table is what the benchmarks of this run measured, in the order they ran.
var table results

type results []*row

// row is one benchmark; run with -count it has several figures.
type row struct {
	group, name string
	ns, allocs  []float64
}

// measure runs op as b's benchmark.
func measure(b *testing.B, op func()) {
	b.Helper()
	b.ReportAllocs()
	op() // what is made once is not what a call costs
	began := mallocs()
	for b.Loop() {
		op()
	}
	table.note(b, mallocs()-began)
}

// measureParallel is measure on all processors.
func measureParallel(b *testing.B, op func()) {
	b.Helper()
	measureEach(b, func() func() { return op })
}

// measureEach is measureParallel where every goroutine has an op of its own.
func measureEach(b *testing.B, each func() func()) {
	b.Helper()
	b.ReportAllocs()
	each()()
	began := mallocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		op := each()
		for pb.Next() {
			op()
		}
	})
	table.note(b, mallocs()-began)
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// shortest is less than a benchmark takes that counts: those before it seek how
// often to repeat.
const shortest = 10 * time.Millisecond

func (t *results) note(b *testing.B, mallocs uint64) {
	b.Helper()
	if b.Elapsed() < shortest {
		return
	}
	name := strings.TrimPrefix(b.Name(), "Benchmark")
	i := strings.LastIndexByte(name, '/')
	r := t.row(name[:i], name[i+1:])
	r.ns = append(r.ns, float64(b.Elapsed())/float64(b.N))
	r.allocs = append(r.allocs, float64(mallocs)/float64(b.N))
}

func (t *results) row(group, name string) *row {
	for _, r := range *t {
		if r.group == group && r.name == name {
			return r
		}
	}
	r := &row{group: group, name: name}
	*t = append(*t, r)
	return r
}

func (t *results) print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer tw.Flush()
	fmt.Fprintf(tw, "\nmedians of this run, %s, %d CPUs\t\t\t\t\t\n", runtime.Version(), runtime.GOMAXPROCS(0))
	group := ""
	var first *row
	for _, r := range *t {
		if r.group != group {
			group, first = r.group, r
			fmt.Fprintf(tw, "\t\t\t\t\t\n%s\tns\t× %s\tallocs\tover it\t\n", group, first.name)
		}
		fmt.Fprintf(tw, "%s\t%.0f\t%.2f\t%.0f\t%+.0f\t\n", r.name, median(r.ns), median(r.ns)/median(first.ns),
			median(r.allocs), median(r.allocs)-median(first.allocs))
	}
}

func median(of []float64) float64 {
	return slices.Sorted(slices.Values(of))[len(of)/2]
}
