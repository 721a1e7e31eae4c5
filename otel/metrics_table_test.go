package otel_test

import (
	"context"
	"iter"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/magnetar-go/magnetar/otel"
	"github.com/magnetar-go/magnetar/policy"
)

// described is a metric as its users see it.
type described struct {
	instrument, unit string
	attributes       string // sorted
}

func TestMetricsAreAsTheTableInThePackageCommentSays(t *testing.T) {
	r := record(t)
	measureEverything(t, r)
	require.Equal(t, documented(t), r.described())
}

// measureEverything makes a data point of every metric with every attribute.
func measureEverything(t *testing.T, r recorder) {
	t.Helper()
	ctx := otel.ContextWithURLTemplate(t.Context(), "/orders/{id}")
	_, try := r.StartAttempt(ctx, get(t, "https://api.example.com/orders/1"), 0)
	try.Headers(response(500), nil)
	for _, d := range []policy.Decision{
		{Policy: policy.PolicyShed, Action: policy.ActionRefuse, Reason: policy.ReasonQueueFull, Route: "/", Shadow: true},
		{Policy: policy.PolicyShed, Action: policy.ActionWait, Took: time.Second, InFlight: 1},
		{Policy: policy.PolicyShed, Action: policy.ActionResize, Limit: 1},
		{Policy: policy.PolicyBreaker, Action: policy.ActionOpen},
	} {
		r.Observe(ctx, d)
	}
	for _, stop := range []func(){
		r.WatchPool("orders", func() otel.PoolLevel { return otel.PoolLevel{} }),
		r.WatchOpenConnections(func() iter.Seq[otel.OpenConnections] { return slices.Values(make([]otel.OpenConnections, 1)) }),
		r.WatchEndpoints(func() iter.Seq[otel.Endpoints] { return slices.Values(make([]otel.Endpoints, 1)) }),
	} {
		t.Cleanup(stop)
	}
}

var (
	columns = regexp.MustCompile(` {2,}`)
	dotted  = regexp.MustCompile(`[a-z_]+(\.[a-z_]+)+`)
)

// documented reads the table in doc.go: a row begins at the margin, and goes on
// in the lines below it that do not.
func documented(t *testing.T) map[string]described {
	t.Helper()
	source, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(source), "// # Metrics\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "// # ")
	table, name := make(map[string]described), ""
	for line := range strings.Lines(section) {
		row, indented := strings.CutPrefix(strings.TrimRight(line, "\n"), "//\t")
		if !indented || strings.HasPrefix(row, "name ") {
			continue
		}
		var one described
		attributes := row
		if !strings.HasPrefix(row, " ") {
			cells := columns.Split(row, 4)
			require.Len(t, cells, 4, row)
			name, one.instrument, one.unit, attributes = cells[0], cells[1], cells[2], cells[3]
			require.NotContains(t, table, name)
		} else {
			one = table[name]
		}
		one.attributes = sorted(append(strings.Fields(one.attributes), dotted.FindAllString(attributes, -1)...))
		table[name] = one
	}
	return table
}

// described is what the SDK was given.
func (r recorder) described() map[string]described {
	r.t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(r.t, r.reader.Collect(context.Background(), &all))
	found := make(map[string]described)
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			require.NotEmpty(r.t, m.Description, m.Name)
			one := described{unit: m.Unit}
			var sets []attribute.Set
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				one.instrument = "updowncounter"
				if data.IsMonotonic {
					one.instrument = "counter"
				}
				sets = attributesOfPoints(data.DataPoints)
			case metricdata.Gauge[int64]:
				one.instrument = "gauge"
				sets = attributesOfPoints(data.DataPoints)
			case metricdata.Histogram[int64]:
				one.instrument = "histogram"
				sets = attributesOfBuckets(data.DataPoints)
			case metricdata.Histogram[float64]:
				one.instrument = "histogram"
				sets = attributesOfBuckets(data.DataPoints)
			}
			one.attributes = sorted(keysOf(sets))
			found[m.Name] = one
		}
	}
	return found
}

func attributesOfPoints[N int64 | float64](points []metricdata.DataPoint[N]) (sets []attribute.Set) {
	for _, p := range points {
		sets = append(sets, p.Attributes)
	}
	return sets
}

func attributesOfBuckets[N int64 | float64](points []metricdata.HistogramDataPoint[N]) (sets []attribute.Set) {
	for _, p := range points {
		sets = append(sets, p.Attributes)
	}
	return sets
}

func keysOf(sets []attribute.Set) (keys []string) {
	for _, s := range sets {
		for _, kv := range s.ToSlice() {
			keys = append(keys, string(kv.Key))
		}
	}
	return keys
}

func sorted(keys []string) string {
	slices.Sort(keys)
	return strings.Join(slices.Compact(keys), " ")
}
