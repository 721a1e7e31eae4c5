package waterfall_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/magnetar-go/magnetar/examples/internal/waterfall"
)

var redraw = flag.Bool("redraw", false, "write the golden file instead of comparing it")

// everything is a trace with one of each that looks different.
func everything() []tracetest.SpanStub {
	return []tracetest.SpanStub{
		stub(1, 0, "call GET", 0, 900, attribute.Int("http.response.status_code", 200), attribute.Int("magnetar.call.attempts", 2)),
		stub(2, 1, "magnetar.breaker.admit", 0, 0),
		failing(client(stub(3, 1, "GET", 0, 100, attribute.Int("http.response.status_code", 503)))),
		serving(failing(stub(4, 3, "GET /items/{id}", 20, 90, attribute.Int("http.response.status_code", 503)))),
		stub(5, 1, "magnetar.retry.wait", 100, 600, attribute.String("magnetar.reason", "status"), attribute.Float64("magnetar.retry_after", 0.5)),
		client(stub(6, 1, "GET", 600, 900, attribute.Int("http.response.status_code", 200), attribute.Int("http.request.resend_count", 1))),
		linked(stub(7, 6, "magnetar.breaker.close", 890, 890, attribute.String("magnetar.reason", "trials_succeeded")), 1),
		linked(failing(stub(8, 99, "an orphan", 300, 301, attribute.String("error.type", "circuit_open"))), 2),
		stub(9, 8, strings.Repeat("very long ", 20), 300, 301),
	}
}

func TestDrawingIsAsItWas(t *testing.T) {
	const golden = "testdata/everything.svg"
	drawn := draw(everything())
	if *redraw {
		require.NoError(t, os.WriteFile(golden, []byte(drawn), 0o600))
	}
	committed, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(committed), drawn, "if that is as it should be: go test -redraw ./internal/waterfall")
}

func TestDrawingDoesNotDependOnTheOrderOfSpans(t *testing.T) {
	want, spans := draw(everything()), everything()
	for range 20 {
		rand.Shuffle(len(spans), func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })
		require.Equal(t, want, draw(spans))
	}
}

func TestDrawingSaysWhatItShows(t *testing.T) {
	d := parse(t, draw(everything()))
	require.Equal(t, "A trace", d.title)
	require.Contains(t, d.description, "call GET (orders), 900 ms, 200, 2 tries; within that, magnetar.breaker.admit (orders), at once;")
	require.Contains(t, d.description, "then GET (orders), 100 ms, error, 503; within that, GET /items/{id} (stock), 70 ms, error, 503;")
	require.Contains(t, d.description, "magnetar.retry.wait (orders), 500 ms, status, retry after 500 ms;")
	require.Contains(t, d.description, "GET (orders), 300 ms, resend 1, 200;")
	require.Contains(t, d.description, "magnetar.breaker.close (orders), at once, 1 link, trials_succeeded;")
	require.Contains(t, d.texts, "error")
	require.Contains(t, d.texts, "resend 1")
	require.Contains(t, d.texts, "1 link")
	require.Contains(t, d.texts, "2 links")
	require.Contains(t, d.texts, "an orphan")
}

func TestNothingIsSaidToBeNothing(t *testing.T) {
	d := parse(t, draw(nil))
	require.Contains(t, d.texts, "No spans were recorded.")
	require.Equal(t, "No spans were recorded.", d.description)
}

// Whatever a span says, the drawing is one, all of it text and within its place.
func TestHostileNamesAreOnlyNames(t *testing.T) {
	for _, hostile := range []string{
		`<script>alert(1)</script>`, `"/><image href="http://evil.example/x"/>`, `</text></g></svg>`, `]]>`, `&lt;`, `&#0;`,
		"\x00\x1b[31m\u202e\u2066 reversed", "line\nbreak\r\ttab", "\xff\xfe not UTF-8", strings.Repeat("a", 10_000),
		strings.Repeat("\u5e83\u3044", 500), strings.Repeat("e\u0301", 500), "", " ",
	} {
		s := failing(stub(1, 0, hostile, 0, 10, attribute.String("error.type", hostile), attribute.String("magnetar.reason", hostile)))
		s.Resource = resource.NewSchemaless(semconv.ServiceName(hostile))
		for _, title := range []string{"A trace", hostile} {
			drawn := waterfall.Draw(title, []sdktrace.ReadOnlySpan{s.Snapshot()}, waterfall.Light)
			d := parse(t, drawn)
			require.Truef(t, utf8.ValidString(drawn), "%q", hostile)
			require.NotContains(t, drawn, "\u202e")
			require.NotContains(t, drawn, "\x1b")
			require.Subset(t, []string{"svg", "title", "desc", "style", "defs", "pattern", "rect", "text", "line", "path", "g"}, d.elements)
			require.Subset(t, []string{"", "http://www.w3.org/2000/svg"}, d.namespaces)
		}
	}
}

func TestAncestryMayBeAnything(t *testing.T) {
	own := stub(1, 1, "its own parent", 0, 1)
	a, b := stub(2, 3, "one of two", 0, 1), stub(3, 2, "other of two", 0, 1)
	twin := stub(1, 1, "twin", 0, 1)
	d := parse(t, draw([]tracetest.SpanStub{own, a, b, twin}))
	for _, name := range []string{"its own parent", "one of two", "other of two"} {
		require.Equal(t, 1, count(d.texts, name), name)
	}

	var deep []tracetest.SpanStub
	for i := range byte(100) {
		deep = append(deep, stub(i+1, i, fmt.Sprintf("depth %d", i), int(i), 200))
	}
	d = parse(t, draw(deep))
	require.Contains(t, d.texts, "depth 99")
}

func TestTimesMayBeAnything(t *testing.T) {
	for _, lasts := range []time.Duration{0, -time.Second, 1, time.Microsecond, 17 * time.Millisecond, time.Minute, 1000 * time.Hour} {
		s := stub(1, 0, "GET", 0, 0)
		s.EndTime = s.StartTime.Add(lasts)
		parse(t, draw([]tracetest.SpanStub{s}))
	}
	parse(t, draw([]tracetest.SpanStub{{Name: "no time at all"}}))
}

func TestTimesAreOfThreeDigits(t *testing.T) {
	for lasts, want := range map[time.Duration]string{
		999: "999 ns", 1500: "1.5 µs", 12345 * time.Microsecond: "12.3 ms", 320 * time.Millisecond: "320 ms",
		1600 * time.Millisecond: "1.6 s", time.Hour: "3600 s", 0: "0",
	} {
		s := stub(1, 0, "GET", 0, 0)
		s.EndTime = s.StartTime.Add(lasts)
		require.Contains(t, parse(t, draw([]tracetest.SpanStub{s})).texts, want)
	}
}

func count(all []string, s string) int {
	n := 0
	for _, other := range all {
		if other == s {
			n++
		}
	}
	return n
}

func draw(stubs []tracetest.SpanStub) string {
	return waterfall.Draw("A trace", tracetest.SpanStubs(stubs).Snapshots(), waterfall.Light)
}

// drawing is what an SVG says.
type drawing struct {
	title, description   string
	texts                []string
	elements, namespaces []string
}

// parse fails where the SVG is not well-formed, names something outside of it, or
// a text is not within its frame.
func parse(t *testing.T, svg string) drawing {
	t.Helper()
	var d drawing
	var stack []string
	dec := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return d
		}
		require.NoError(t, err)
		switch el := token.(type) {
		case xml.StartElement:
			stack = append(stack, el.Name.Local)
			d.elements = append(d.elements, el.Name.Local)
			d.namespaces = append(d.namespaces, el.Name.Space)
			for _, a := range el.Attr {
				require.NotContains(t, a.Name.Local, "href")
				require.False(t, strings.HasPrefix(a.Name.Local, "on"))
				require.NotContains(t, a.Value, "NaN")
				require.NotContains(t, a.Value, "Inf")
			}
			if el.Name.Local == "text" {
				var text string
				require.NoError(t, dec.DecodeElement(&text, &el))
				stack = stack[:len(stack)-1]
				d.texts = append(d.texts, text)
				inFrame(t, el, text)
			}
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			switch strings.Join(stack, " ") {
			case "svg title":
				d.title += string(el)
			case "svg desc":
				d.description += string(el)
			}
		}
	}
}

// inFrame checks that a text ends within the drawing.
func inFrame(t *testing.T, el xml.StartElement, text string) {
	t.Helper()
	var x float64
	for _, a := range el.Attr {
		switch {
		case a.Name.Local == "x":
			_, err := fmt.Sscan(a.Value, &x)
			require.NoError(t, err)
		case a.Name.Local == "class" && slices.Contains(strings.Fields(a.Value), "end"):
			return
		}
	}
	require.Less(t, x+float64(utf8.RuneCountInString(strings.ReplaceAll(text, "\u0301", "")))*7.8, 880., text)
}

// stub is a span of orders with its times in milliseconds; parent 0 is none.
func stub(id, parent byte, name string, from, to int, attrs ...attribute.KeyValue) tracetest.SpanStub {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := tracetest.SpanStub{
		Name: name, SpanContext: contextOf(id), SpanKind: trace.SpanKindInternal, Attributes: attrs,
		StartTime: began.Add(time.Duration(from) * time.Millisecond),
		EndTime:   began.Add(time.Duration(to) * time.Millisecond),
		Resource:  resource.NewSchemaless(semconv.ServiceName("orders")),
	}
	if parent != 0 {
		s.Parent = contextOf(parent)
	}
	return s
}

func contextOf(id byte) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{id}})
}

func client(s tracetest.SpanStub) tracetest.SpanStub {
	s.SpanKind = trace.SpanKindClient
	return s
}

func serving(s tracetest.SpanStub) tracetest.SpanStub {
	s.SpanKind = trace.SpanKindServer
	s.Resource = resource.NewSchemaless(semconv.ServiceName("stock"))
	return s
}

func failing(s tracetest.SpanStub) tracetest.SpanStub {
	s.Status = sdktrace.Status{Code: codes.Error}
	return s
}

func linked(s tracetest.SpanStub, n int) tracetest.SpanStub {
	s.Links = make([]sdktrace.Link, n)
	return s
}
