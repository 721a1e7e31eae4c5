package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
)

const (
	// maxAliased is how many values the aliases of a document may add to it.
	maxAliased = 10_000
	// maxDepth is how deep values may be nested.
	maxDepth = 100
)

// decode sets dst to what t says. It writes to dst alone: what dst refers to is
// copied before it is changed.
func decode(dst reflect.Value, t tree, o *origins) faults {
	d := decoder{origins: o, budget: t.size + maxAliased, fields: map[reflect.Type][]field{}}
	d.value(dst, t.root, "")
	return d.faults
}

type decoder struct {
	faults  faults
	origins *origins
	fields  map[reflect.Type][]field
	budget  int // values left to visit
	depth   int
}

// value sets dst to n. Null and {} are for what is behind a pointer.
func (d *decoder) value(dst reflect.Value, n *node, path string) {
	if !d.enter(n, path) {
		return
	}
	defer d.leave()
	d.origins.places[path] = n.at
	delete(d.origins.failed, path)
	switch pointer := dst.Kind() == reflect.Pointer; {
	case n.kind == missing:
		d.fail(n, path, missingValue(dst.Type()))
	case n.kind == null && pointer:
		dst.SetZero()
	case n.kind == null:
		d.fail(n, path, errors.New("null: cannot be switched off; leave the key out for its default"))
	case pointer:
		d.plain(fresh(dst), n, path)
	default:
		d.plain(dst, n, path)
	}
}

func (d *decoder) plain(dst reflect.Value, n *node, path string) {
	switch {
	case n.kind == foreign:
		d.fail(n, path, fmt.Errorf("the tag %s has no meaning here", shorten(n.text)))
	case isScalar(dst.Type()):
		if err := setScalar(dst, n); err != nil {
			d.fail(n, path, err)
		}
	case dst.Kind() == reflect.Struct:
		d.structure(dst, n, path)
	case dst.Kind() == reflect.Map && isScalar(dst.Type().Key()):
		d.mapping(dst, n, path)
	case dst.Kind() == reflect.Slice:
		d.list(dst, n, path)
	default:
		d.fail(n, path, fmt.Errorf("a %v cannot be configured", dst.Type()))
	}
}

// enter bounds what aliases can do: they multiply a document, and make it
// endless when a value contains itself.
func (d *decoder) enter(n *node, path string) bool {
	if !d.spend(1, n, path) {
		return false
	}
	if d.depth == maxDepth {
		d.faults.addf(n.at, path, "nested more than %d deep", maxDepth)
		return false
	}
	d.depth++
	return true
}

func (d *decoder) leave() { d.depth-- }

// spend reports the end of the budget once, and nothing is decoded after it.
func (d *decoder) spend(values int, n *node, path string) bool {
	if d.budget < 0 {
		return false
	}
	d.budget -= values
	if d.budget < 0 {
		d.faults.addf(n.at, path, "aliases add more than %d values", maxAliased)
	}
	return d.budget >= 0
}

func (d *decoder) fail(n *node, path string, err error) {
	d.faults.add(n.at, path, err)
	d.origins.failed[path] = true
}

// fresh replaces the pointer in dst by one to a copy, or to a new zero value,
// and returns what it points to.
func fresh(dst reflect.Value) reflect.Value {
	p := reflect.New(dst.Type().Elem())
	if !dst.IsNil() {
		p.Elem().Set(dst.Elem())
	}
	dst.Set(p)
	return p.Elem()
}

func (d *decoder) structure(dst reflect.Value, n *node, path string) {
	if n.kind != mapping {
		d.fail(n, path, misplaced(n, "a mapping"))
		return
	}
	fields := d.fieldsOf(dst.Type())
	for _, p := range d.entries(n, path) {
		name := p.key.text
		f, ok := find(fields, name)
		if !ok {
			d.faults.add(p.key.at, join(path, name), unknown("field", "", name, names(fields)))
			continue
		}
		d.value(f.in(dst), p.value, join(path, name))
	}
}

func (d *decoder) mapping(dst reflect.Value, n *node, path string) {
	if n.kind != mapping {
		d.fail(n, path, misplaced(n, "a mapping"))
		return
	}
	t := dst.Type()
	entries := d.entries(n, path)
	m := reflect.MakeMapWithSize(t, len(entries)+dst.Len())
	for it := dst.MapRange(); it.Next(); {
		m.SetMapIndex(it.Key(), it.Value())
	}
	for _, p := range entries {
		key := reflect.New(t.Key()).Elem()
		path := at(path, p.key.text)
		if err := setScalar(key, &node{kind: untyped, text: p.key.text}); err != nil {
			d.fail(p.key, path, fmt.Errorf("key %w", err))
			continue
		}
		value := reflect.New(t.Elem()).Elem()
		if old := m.MapIndex(key); old.IsValid() {
			value.Set(old)
		}
		d.value(value, p.value, path)
		m.SetMapIndex(key, value)
	}
	dst.Set(m)
}

func (d *decoder) list(dst reflect.Value, n *node, path string) {
	if n.kind != list {
		d.fail(n, path, misplaced(n, "a list"))
		return
	}
	s := reflect.MakeSlice(dst.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		d.value(s.Index(i), item, path+"["+strconv.Itoa(i)+"]")
	}
	dst.Set(s)
}

// entries are the pairs of a mapping that count: no key twice, and after the
// mapping's own what it merges and does not have.
func (d *decoder) entries(n *node, path string) []pair {
	var own, merged []pair
	seen := map[string]place{}
	for _, p := range n.pairs {
		key := p.key
		switch first, twice := seen[key.text]; {
		case key.kind == merge:
			merged = append(merged, d.merged(p.value, path)...)
		case key.kind != str && key.kind != number && key.kind != boolean:
			d.faults.add(key.at, path, mismatch(key, "a string, to be a key"))
		case twice:
			d.faults.addf(key.at, join(path, key.text), "set twice, first at %v", first)
		default:
			seen[key.text] = key.at
			own = append(own, p)
		}
	}
	for _, p := range merged {
		if _, ok := seen[p.key.text]; !ok {
			seen[p.key.text] = p.key.at
			own = append(own, p)
		}
	}
	return own
}

// merged are the entries of what stands behind the key <<: a mapping, or a list
// of them of which the earlier ones win.
func (d *decoder) merged(n *node, path string) []pair {
	if !d.enter(n, path) {
		return nil
	}
	defer d.leave()
	switch n.kind {
	case mapping:
		if !d.spend(len(n.pairs), n, path) {
			return nil
		}
		return d.entries(n, path)
	case list:
		var all []pair
		for _, item := range n.items {
			all = append(all, d.merged(item, path)...)
		}
		return all
	}
	d.faults.add(n.at, join(path, "<<"), misplaced(n, "a mapping to merge"))
	return nil
}

func (d *decoder) fieldsOf(t reflect.Type) []field {
	fields, ok := d.fields[t]
	if !ok {
		fields = fieldsOf(t)
		d.fields[t] = fields
	}
	return fields
}

func missingValue(t reflect.Type) error {
	if t.Kind() != reflect.Pointer {
		return errors.New("a key without a value: write one, or leave the key out for its default")
	}
	if isScalar(t.Elem()) {
		return errors.New("a key without a value: write one, or null to switch it off")
	}
	return errors.New("a key without a value: write {} to switch it on with its defaults, or null to switch it off")
}

func mismatch(n *node, want string) error {
	return fmt.Errorf("%v: must be %s", n, want)
}

// misplaced is mismatch where there are keys to come. A text there may be one that
// was meant for such a key, as a URL with a password, and is not quoted.
func misplaced(n *node, want string) error {
	if n.kind == str || n.kind == untyped {
		return fmt.Errorf("a string: must be %s", want)
	}
	return mismatch(n, want)
}
