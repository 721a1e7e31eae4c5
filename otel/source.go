package otel

// source makes something of a provider P, such as a tracer, once for each
// provider that it meets. To look up what was made takes no lock.
type source[P, T any] struct {
	given  *product[T] // of the provider that an option gave, or nil
	global func() P    // the API's provider at the time
	make   func(P) (made T, graded any)
	recent recent[*product[T]]
}

// product is what was made of one provider.
type product[T any] struct {
	provider identity
	made     T
	grade    grade
}

func newSource[P, T any](given P, global func() P, from func(P) (T, any)) *source[P, T] {
	s := &source[P, T]{global: global, make: from}
	if any(given) != nil {
		s.given = newProduct(given, from)
	}
	return s
}

func newProduct[P, T any](p P, from func(P) (T, any)) *product[T] {
	made, graded := from(p)
	return &product[T]{provider: identify(p), made: made, grade: gradeOf(graded)}
}

// now returns what belongs to the provider given, else to the global one, and
// whether it does anything.
func (s *source[P, T]) now() (T, bool) {
	if s.given != nil {
		return s.given.made, s.works(s.given)
	}
	return s.of(s.global())
}

// works reports whether the provider given does anything. A stand-in does once
// it is no longer the global one: it forwards to the first that took its place.
func (s *source[P, T]) works(given *product[T]) bool {
	return given.grade == genuine || given.grade == standIn && !given.provider.is(s.global())
}

// of returns what belongs to p, the provider of now, and whether it does
// anything. A stand-in that is met here is the global one still.
func (s *source[P, T]) of(p P) (T, bool) {
	for _, known := range s.recent.all() {
		if known.provider.is(p) {
			return known.made, known.grade == genuine
		}
	}
	fresh := newProduct(p, s.make)
	if !fresh.provider.void() {
		s.recent.add(fresh)
	}
	return fresh.made, fresh.grade == genuine
}
