package otel

import (
	"context"
	"reflect"

	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// grade is what a provider is good for.
type grade uint8

const (
	genuine grade = iota // an SDK's
	standIn              // the API's own, until an SDK is installed
	idle                 // does nothing, for good
)

var (
	gradeByPackage = map[string]grade{
		"go.opentelemetry.io/otel/internal/global":    standIn,
		reflect.TypeFor[tracenoop.Tracer]().PkgPath(): idle,
		reflect.TypeFor[metricnoop.Meter]().PkgPath(): idle,
	}
	deprecatedNoop = reflect.TypeOf(trace.SpanFromContext(context.Background()).TracerProvider().Tracer(""))
)

// gradeOf tells the API's own implementations from an SDK's by their package,
// for the API has no way to ask.
func gradeOf(v any) grade {
	t := reflect.TypeOf(v)
	if t == deprecatedNoop {
		return idle
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return gradeByPackage[t.PkgPath()]
}
