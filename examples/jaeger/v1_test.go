//go:build linux

package main

import (
	"fmt"
	"net/url"
	"testing"
	"time"
)

// tracesV1 is what /api/traces returns: what Jaeger's own UI draws.
// Names are matched in any case, so no field needs a tag.
type tracesV1 struct {
	Data []struct {
		Processes map[string]struct {
			ServiceName string
		}
		Spans []spanV1
	}
}

type spanV1 struct {
	TraceID       string
	SpanID        string
	OperationName string
	ProcessID     string
	References    []struct {
		RefType string
		TraceID string
		SpanID  string
	}
	StartTime int64 // in microseconds
	Duration  int64
	Tags      []struct {
		Key   string
		Value any
	}
	Warnings []string
}

func (j jaeger) traceV1(t *testing.T, id string, query url.Values) spans {
	t.Helper()
	var found tracesV1
	if !j.get(t, "/api/traces/"+id, query, &found) {
		return nil
	}
	var all spans
	for _, trace := range found.Data {
		for _, s := range trace.Spans {
			all = append(all, s.plain(trace.Processes[s.ProcessID].ServiceName))
		}
	}
	return all
}

func (s spanV1) plain(service string) span {
	p := span{
		service: service, name: s.OperationName, trace: s.TraceID, id: s.SpanID,
		began: time.UnixMicro(s.StartTime), took: time.Duration(s.Duration) * time.Microsecond,
		attributes: make(map[string]string), warnings: s.Warnings,
	}
	for _, tag := range s.Tags {
		p.attributes[tag.Key] = text(tag.Value)
	}
	p.kind = p.attributes["span.kind"]
	p.failed = p.attributes["error"] == "true" && p.attributes["otel.status_code"] == "ERROR"
	for _, r := range s.References {
		if r.RefType == "CHILD_OF" && r.TraceID == s.TraceID {
			p.parent = r.SpanID
		} else {
			p.links = append(p.links, ref{r.TraceID, r.SpanID})
		}
	}
	return p
}

// searchV1 returns the traces in which a service has a span with a tag.
func (j jaeger) searchV1(t *testing.T, service, key, value string) map[string]bool {
	t.Helper()
	var found tracesV1
	j.get(t, "/api/traces", url.Values{"service": {service}, "tags": {fmt.Sprintf("{%q:%q}", key, value)}, "limit": {"1000"}}, &found)
	traces := make(map[string]bool)
	for _, trace := range found.Data {
		for _, s := range trace.Spans {
			traces[s.TraceID] = true
		}
	}
	return traces
}
