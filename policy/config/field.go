package config

import (
	"cmp"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// field is a struct's own, or one that an embedded or inline struct lends it.
type field struct {
	name  string
	index []int
	typ   reflect.Type
}

// fieldsOf lists the fields of a struct type that can be configured. Of those
// with the same name the struct's own, then the first one lent, counts.
func fieldsOf(t reflect.Type) []field {
	return appendFields(nil, t, nil, nil)
}

func appendFields(fields []field, t reflect.Type, index []int, around []reflect.Type) []field {
	if slices.Contains(around, t) {
		return fields // embeds itself
	}
	around = append(slices.Clip(around), t)
	var lenders []field
	for sf := range t.Fields() {
		name, inline, skip := tagged(sf)
		f := field{name, append(slices.Clip(index), sf.Index...), sf.Type}
		_, taken := find(fields, name)
		switch {
		case skip:
		case inline:
			lenders = append(lenders, f)
		case !taken:
			fields = append(fields, f)
		}
	}
	for _, l := range lenders {
		fields = appendFields(fields, deref(l.typ), l.index, around)
	}
	return fields
}

// tagged says what a struct field is called, or that it lends its own fields.
func tagged(sf reflect.StructField) (name string, inline, skip bool) {
	name, options, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
	if name == "" {
		name, _, _ = strings.Cut(sf.Tag.Get("json"), ",")
	}
	inline = sf.Anonymous && name == "" || slices.Contains(strings.Split(options, ","), "inline")
	inline = inline && deref(sf.Type).Kind() == reflect.Struct
	settable := sf.IsExported() || inline && sf.Type.Kind() == reflect.Struct && sf.Anonymous
	if name == "-" || !settable {
		return "", false, true
	}
	return cmp.Or(name, strings.ToLower(sf.Name)), inline, false
}

// in returns the field of struct v, after making the embedded pointers on the
// way to it v's own.
func (f field) in(v reflect.Value) reflect.Value {
	for i, x := range f.index {
		if i > 0 && v.Kind() == reflect.Pointer {
			v = fresh(v)
		}
		v = v.Field(x)
	}
	return v
}

func find(fields []field, name string) (field, bool) {
	i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}
	return fields[i], true
}

func names(fields []field) []string {
	all := make([]string, len(fields))
	for i, f := range fields {
		all[i] = f.name
	}
	return all
}

func deref(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// join is the path of a field.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

var plainKey = regexp.MustCompile(`^[\w-]+$`)

// at is the path of a map's key.
func at(path, key string) string {
	if plainKey.MatchString(key) {
		return join(path, key)
	}
	return path + "[" + strconv.Quote(shorten(key)) + "]"
}
