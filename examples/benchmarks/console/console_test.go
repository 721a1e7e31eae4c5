//go:build unix

package console

import (
	"context"
	"fmt"
	"os"
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

// lasts is how long each row is measured.
func lasts() time.Duration {
	if testing.Verbose() {
		return 10 * time.Second
	}
	return 300 * time.Millisecond
}

// row is what the process took while an observer was told decisions.
type row struct {
	name string
	rate float64 // decisions a second
	took float64 // cores
}

func TestAConsoleTakesLittleOfACore(t *testing.T) {
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	defer func() { require.NoError(t, meters.Shutdown(context.Background())) }()
	telemetry := otel.New(otel.WithMeterProvider(meters))
	mounted, seen := otel.NewConsole(), otel.NewConsole()

	rows := []row{
		measure("observer alone", telemetry),
		measure("console mounted", policy.Observers(telemetry, mounted)),
	}
	v := view(t, seen)
	rows = append(rows, measure("console with a viewer", policy.Observers(telemetry, seen)))
	require.Positive(t, v.close(), "the viewer was sent something")
	show(rows)
}

func show(rows []row) {
	if !testing.Verbose() {
		return
	}
	fmt.Printf("\n%d decisions a second for %v\n\n", perSecond, lasts())
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprintln(w, "\tdecisions/s\tof a core\tbeyond the observer\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%.0f\t%.2f %%\t%.2f %%\t\n", r.name, r.rate, 100*r.took, 100*(r.took-rows[0].took))
	}
}
