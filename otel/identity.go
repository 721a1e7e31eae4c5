package otel

import "reflect"

// identity tells providers apart. What cannot be compared is the same as
// nothing, but for slices, such as the API's composite propagator.
type identity struct {
	value any           // nil where it cannot be compared
	slice reflect.Value // of a slice
}

func identify(p any) identity {
	v := reflect.ValueOf(p)
	switch {
	case v.Comparable():
		return identity{value: p}
	case v.Kind() == reflect.Slice:
		return identity{slice: v}
	}
	return identity{}
}

// void reports whether the identity is that of nothing.
func (i *identity) void() bool { return i.value == nil && !i.slice.IsValid() }

func (i *identity) is(p any) bool {
	if i.value != nil {
		return i.value == p // cannot panic, for one side can be compared
	}
	if !i.slice.IsValid() || reflect.TypeOf(p) != i.slice.Type() {
		return false
	}
	v := reflect.ValueOf(p)
	return v.Len() == i.slice.Len() && v.UnsafePointer() == i.slice.UnsafePointer()
}
