//go:build linux

package main

import (
	"net/url"
	"strconv"
	"testing"
	"time"
)

// tracesV3 is what /api/v3/traces returns: OTLP as JSON. Names are
// matched in any case, so no field needs a tag.
type tracesV3 struct {
	Result struct {
		ResourceSpans []struct {
			Resource struct {
				Attributes attributesV3
			}
			ScopeSpans []struct {
				Spans []spanV3
			}
		}
	}
}

type spanV3 struct {
	TraceID           string
	SpanID            string
	ParentSpanID      string
	Name              string
	Kind              int
	StartTimeUnixNano string
	EndTimeUnixNano   string
	Attributes        attributesV3
	Links             []struct {
		TraceID string
		SpanID  string
	}
	Status struct {
		Code int
	}
}

type attributesV3 []struct {
	Key   string
	Value map[string]any
}

func (as attributesV3) plain() map[string]string {
	plain := make(map[string]string)
	for _, a := range as {
		for _, v := range a.Value { // of which there is one, by its type
			plain[a.Key] = text(v)
		}
	}
	return plain
}

func (j jaeger) traceV3(t *testing.T, id string, query url.Values) spans {
	t.Helper()
	var found tracesV3
	if !j.get(t, "/api/v3/traces/"+id, query, &found) {
		return nil
	}
	return found.plain()
}

func (f tracesV3) plain() spans {
	var all spans
	for _, r := range f.Result.ResourceSpans {
		service := r.Resource.Attributes.plain()["service.name"]
		for _, scope := range r.ScopeSpans {
			for _, s := range scope.Spans {
				all = append(all, s.plain(service))
			}
		}
	}
	return all
}

func (s spanV3) plain(service string) span {
	began, ended := nanoseconds(s.StartTimeUnixNano), nanoseconds(s.EndTimeUnixNano)
	p := span{
		service: service, name: s.Name, trace: s.TraceID, id: s.SpanID, parent: s.ParentSpanID,
		kind:  map[int]string{1: "internal", 2: "server", 3: "client"}[s.Kind],
		began: began, took: ended.Sub(began), failed: s.Status.Code == 2,
		attributes: s.Attributes.plain(),
	}
	if w := p.attributes["@jaeger@warnings"]; w != "" {
		p.warnings = []string{w}
	}
	for _, l := range s.Links {
		p.links = append(p.links, ref{l.TraceID, l.SpanID})
	}
	return p
}

func nanoseconds(s string) time.Time {
	n, _ := strconv.ParseInt(s, 10, 64) // what is no number is no time, and no test will take it for one
	return time.Unix(0, n)
}

// searchV3 returns the traces of a service within the last hour.
func (j jaeger) searchV3(t *testing.T, service string) map[string]bool {
	t.Helper()
	now := time.Now().UTC()
	var found tracesV3
	j.get(t, "/api/v3/traces", url.Values{
		"query.service_name":   {service},
		"query.start_time_min": {now.Add(-time.Hour).Format(time.RFC3339Nano)},
		"query.start_time_max": {now.Add(time.Minute).Format(time.RFC3339Nano)},
		"query.num_traces":     {"1000"},
	}, &found)
	traces := make(map[string]bool)
	for _, s := range found.plain() {
		traces[s.trace] = true
	}
	return traces
}
