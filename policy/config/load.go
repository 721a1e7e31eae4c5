package config

import (
	"errors"
	"reflect"
)

// Source is where configuration comes from: [YAML], [YAMLFile], [JSON],
// [JSONFile], [Env] or [Environ]. The set is closed.
type Source interface {
	// read parses the source for a value of type t. A tree without a root says
	// nothing.
	read(rank int, t reflect.Type) (tree, faults)
}

// Load reads sources over *dst, later ones over earlier ones; a nil source is
// left out. What no source mentions keeps its value, so fill *dst with the
// defaults first. If *T has a method Validate() error, it is run on the result.
//
// The error names all faults, sorted by source and position, each with its
// place and the path of its field; errors.Is sees what is behind them, such as
// fs.ErrNotExist. With any fault *dst is left untouched, and what its pointers,
// maps and slices refer to is never changed.
func Load[T any](dst *T, sources ...Source) error {
	if dst == nil {
		return errors.New("config: nothing to load into: dst is nil")
	}
	next := *dst
	l := newLoader(len(sources))
	l.apply(reflect.ValueOf(&next).Elem(), sources)
	if v, ok := any(&next).(interface{ Validate() error }); ok && l.complete {
		l.validated(v.Validate())
	}
	if err := l.faults.err(); err != nil {
		return err
	}
	*dst = next
	return nil
}

// loader is one Load under way.
type loader struct {
	faults  faults
	origins origins
	// complete is false when a source could not be read at all: complaints
	// about what it may have set would only mislead.
	complete bool
}

func newLoader(sources int) *loader {
	return &loader{
		origins:  origins{places: map[string]place{}, failed: map[string]bool{}, elsewhere: place{rank: sources, source: "result"}},
		complete: true,
	}
}

func (l *loader) apply(dst reflect.Value, sources []Source) {
	for rank, s := range sources {
		if s == nil {
			continue
		}
		t, faults := s.read(rank, dst.Type())
		l.faults = append(l.faults, faults...)
		if t.root != nil {
			l.faults = append(l.faults, decode(dst, t, &l.origins)...)
		} else if len(faults) > 0 {
			l.complete = false
		}
	}
}

// validated adds what Validate reports, each fault with the place that set the
// field at its path.
func (l *loader) validated(err error) {
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			l.validated(e)
		}
		return
	}
	if at, ok := l.origins.of(err); ok {
		l.faults.add(at, "", err)
	}
}
