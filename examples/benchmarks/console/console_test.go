//go:build unix

package console

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.uber.org/goleak"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rounds is how often each row is measured, and for how long.
func rounds() (int, time.Duration) {
	if testing.Verbose() {
		return 7, 2 * time.Second
	}
	return 1, 200 * time.Millisecond
}

// row is what the process took while an observer was told decisions.
type row struct {
	keys   int
	name   string
	beyond []float64 // cores, beyond those of the observer alone in the same round
}

func TestAConsoleTakesLittleOfACore(t *testing.T) {
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	defer func() { require.NoError(t, meters.Shutdown(context.Background())) }()
	telemetry := otel.New(otel.WithMeterProvider(meters))

	var rows []*row
	for _, keys := range []int{50, 10_000} {
		load := newLoad(keys)
		mounted, seen := otel.NewConsole(), otel.NewConsole()
		fill(t, seen, keys)
		v := view(t, seen)
		v.pause()
		without, with := &row{keys: keys, name: "mounted"}, &row{keys: keys, name: "with a viewer"}
		rows = append(rows, without, with)
		n, lasts := rounds()
		for range n {
			alone := load.measure(t, lasts, telemetry, nil)
			without.beyond = append(without.beyond, load.measure(t, lasts, telemetry, mounted)-alone)
			v.resume()
			with.beyond = append(with.beyond, load.measure(t, lasts, telemetry, seen)-alone)
			v.pause()
		}
		require.Positive(t, v.close(), "the viewer was sent something")
	}
	show(rows)
}

func show(rows []*row) {
	if !testing.Verbose() {
		return
	}
	n, lasts := rounds()
	fmt.Printf("\n%d decisions a second, %d rounds of %v: of a core, beyond the observer\n\n", perSecond, n, lasts)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprintln(w, "keys\tconsole\tmedian\tleast\tmost\t")
	for _, r := range rows {
		slices.Sort(r.beyond)
		fmt.Fprintf(w, "%d\t%s\t%.2f %%\t%.2f %%\t%.2f %%\t\n", r.keys, r.name,
			100*r.beyond[len(r.beyond)/2], 100*r.beyond[0], 100*r.beyond[len(r.beyond)-1])
	}
}

// tell is all that an observer of each kind is told of one decision.
func tell(ctx context.Context, telemetry *otel.Observer, c *otel.Console, d policy.Decision) {
	telemetry.Observe(ctx, d)
	if c == nil {
		return
	}
	c.Observe(ctx, d)
	if d.Policy == policy.PolicyBreaker && d.Action == policy.ActionAdmit { // it is of a try
		c.ObserveResult(ctx, policy.Result{Key: d.Key, Ended: d.Began, Took: time.Millisecond})
	}
}
