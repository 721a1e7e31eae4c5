package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// fault is one thing wrong, where, and with which field.
type fault struct {
	at   place
	path string
	err  error
}

func (f *fault) Error() string {
	if f.path == "" {
		return f.at.String() + ": " + f.err.Error()
	}
	return f.at.String() + ": " + f.path + ": " + f.err.Error()
}

func (f *fault) Unwrap() error { return f.err }

// place is a position in a source. Line and column count from 1; a line of zero
// means the whole source.
type place struct {
	rank         int // which source, in the order given to Load
	source       string
	line, column int
}

func (p place) String() string {
	if p.line == 0 {
		return p.source
	}
	return fmt.Sprintf("%s:%d:%d", p.source, p.line, p.column)
}

func (p place) compare(q place) int {
	return cmp.Or(
		cmp.Compare(p.rank, q.rank),
		cmp.Compare(p.source, q.source),
		cmp.Compare(p.line, q.line),
		cmp.Compare(p.column, q.column),
	)
}

type faults []*fault

func (fs *faults) add(at place, path string, err error) {
	*fs = append(*fs, &fault{at, path, err})
}

func (fs *faults) addf(at place, path, format string, args ...any) {
	fs.add(at, path, fmt.Errorf(format, args...))
}

// err joins the faults in the order of their places.
func (fs faults) err() error {
	slices.SortStableFunc(fs, func(a, b *fault) int { return a.at.compare(b.at) })
	errs := make([]error, len(fs))
	for i, f := range fs {
		errs[i] = f
	}
	return errors.Join(errs...)
}

// origins remembers which place set the field at a path, and which fields could
// not be set.
type origins struct {
	places    map[string]place
	failed    map[string]bool
	elsewhere place // what no source has set
}

// of finds the place of a fault that Validate reports as "path: what is wrong":
// that of the field, else of the nearest part around it. It is false for a field
// whose own fault is reported already.
func (o *origins) of(err error) (place, bool) {
	path, _, _ := strings.Cut(err.Error(), ": ")
	if o.failed[path] {
		return place{}, false
	}
	for path != "" {
		if at, ok := o.places[path]; ok {
			return at, true
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return o.elsewhere, true
}
