package compare

import (
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	which = flag.String("scenarios", "reported", "which scenarios: tuning or reported")
	only  = flag.String("only", "", "only contenders whose names contain one of these words")
	match = flag.String("match", "", "only scenarios whose family and name contain one of these words")
	seeds = flag.Int("seeds", 3, "runs of each scenario")
	brief = flag.Bool("brief", false, "print the goodput and the summary only")
)

func TestComparison(t *testing.T) {
	set, ok := scenarios[*which]
	require.True(t, ok, "-scenarios: must be tuning or reported")
	runs, list := *seeds, set.list()
	if testing.Short() {
		runs, list = 1, short(list)
	}
	s := sheet{
		scenarios: slices.DeleteFunc(list, func(s Scenario) bool { return !contains(s.Family+" "+s.Name, *match) }),
		contenders: slices.DeleteFunc(slices.Clone(contenders), func(c contender) bool {
			return !contains(c.name, *only) || missing(c)
		}),
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // a fifth faster
	s.fill(t, set.seed, runs)
	if *brief {
		figures = figures[:1]
	}
	s.print(os.Stdout)
	s.summary(os.Stdout)

	for i, sc := range s.scenarios {
		for j, c := range s.contenders {
			for _, r := range s.cells[i][j] {
				sane := r.Goodput >= 0 && r.Goodput < 1.25 && r.P50 <= r.P99 && !(r.False > 1.1) && !math.IsInf(r.Slowness, 0)
				require.Truef(t, sane, "%s in %s, %s: %+v", c.name, sc.Family, sc.Name, r)
			}
		}
	}
}

// fill plays all scenarios, as many at a time as there are processors, and says
// how far it has come.
func (s *sheet) fill(t *testing.T, seed uint64, runs int) {
	t.Helper()
	began, free := time.Now(), make(chan struct{}, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	defer all.Wait()
	for i, sc := range s.scenarios {
		var left sync.WaitGroup
		cells := make([][]Result, len(s.contenders))
		for j, c := range s.contenders {
			cells[j] = make([]Result, runs)
			for k := range runs {
				free <- struct{}{}
				left.Go(func() {
					defer func() { <-free }()
					cells[j][k] = play(t, sc, c, seed+uint64(k))
				})
			}
		}
		s.cells = append(s.cells, cells)
		all.Go(func() {
			left.Wait()
			fmt.Printf("%d of %d, after %v: %s, %s\n", i+1, len(s.scenarios), round(time.Since(began)), sc.Family, sc.Name)
		})
	}
}

// missing reports whether there is no such limiter yet.
func missing(c contender) bool {
	l := c.make(1)
	if closer, ok := l.(io.Closer); ok {
		_ = closer.Close()
	}
	return l == nil
}

// play runs s in a bubble of its own.
func play(t *testing.T, s Scenario, c contender, seed uint64) (r Result) {
	t.Helper()
	synctest.Test(t, func(*testing.T) { r = simulate(s, c.make(s.Slots), seed) })
	return r
}

// contains reports whether s contains one of the words.
func contains(s, words string) bool {
	for word := range strings.SplitSeq(words, ",") {
		if strings.Contains(strings.ToLower(s), strings.ToLower(word)) {
			return true
		}
	}
	return false
}
