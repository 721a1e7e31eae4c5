package config

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
)

// Env reads the variables of the process that begin with prefix and an
// underscore: with the prefix "MAGNETAR" the field retry.max_backoff is
// MAGNETAR_RETRY_MAX_BACKOFF. A variable of that prefix that names no field is a
// fault, so the prefix must not be empty.
//
// Values are plain text, not YAML. A part behind a pointer is switched on by any
// of its variables and off by null; a whole part, list or map may be given as
// JSON, as in MAGNETAR_RETRY={}.
func Env(prefix string) Source { return Environ(prefix, os.Environ()) }

// Environ is [Env] with variables of one's own, in the form "NAME=value".
func Environ(prefix string, vars []string) Source { return environ{prefix, vars} }

type environ struct {
	prefix string
	vars   []string
}

// read builds the tree that a document saying the same would have.
func (e environ) read(rank int, t reflect.Type) (tree, faults) {
	if e.prefix == "" {
		return tree{}, faults{{place{rank: rank, source: "environment"}, "", errors.New("the prefix must not be empty")}}
	}
	b := envBuilder{root: node{kind: mapping}, prefix: strings.TrimSuffix(e.prefix, "_") + "_", typ: t}
	for _, v := range slices.Sorted(slices.Values(e.vars)) {
		name, value, _ := strings.Cut(v, "=")
		if rest, ok := strings.CutPrefix(name, b.prefix); ok {
			b.variable(place{rank: rank, source: "environment variable " + name}, rest, value)
		}
	}
	if len(b.root.pairs) == 0 && len(b.faults) == 0 {
		return tree{}, nil
	}
	return tree{&b.root, b.size}, b.faults
}

type envBuilder struct {
	prefix string
	typ    reflect.Type
	root   node
	size   int
	faults faults
}

func (b *envBuilder) variable(at place, rest, value string) {
	switch leaves := lookUp(b.typ, rest, nil); len(leaves) {
	case 0:
		b.faults.add(at, "", unknown("variable", b.prefix, rest, variables(b.typ, "", nil)))
	case 1:
		b.insert(at, leaves[0], value)
	default:
		b.faults.addf(at, "", "could be %s or %s; use a file for them",
			strings.Join(leaves[0].path, "."), strings.Join(leaves[1].path, "."))
	}
}

func (b *envBuilder) insert(at place, l leaf, value string) {
	n, f := b.value(at, l.typ, value)
	if f != nil {
		b.faults = append(b.faults, f)
		return
	}
	parent, last := &b.root, len(l.path)-1
	for i, name := range l.path[:last] {
		next := child(parent, name)
		if next == nil {
			next = &node{at: at, kind: mapping}
			b.add(parent, name, next)
		}
		if next.kind != mapping {
			b.faults.addf(at, strings.Join(l.path, "."), "%s is already set by %v", strings.Join(l.path[:i+1], "."), next.at)
			return
		}
		parent = next
	}
	b.add(parent, l.path[last], n)
}

func (b *envBuilder) add(parent *node, name string, n *node) {
	b.size += 2
	parent.pairs = append(parent.pairs, pair{&node{at: n.at, kind: str, text: name}, n})
}

func (b *envBuilder) value(at place, t reflect.Type, value string) (*node, *fault) {
	if t.Kind() == reflect.Pointer && value == "null" {
		return &node{at: at, kind: null}, nil
	}
	if isScalar(deref(t)) {
		return &node{at: at, kind: untyped, text: value}, nil
	}
	parsed, f := parseText(parseJSON, at, []byte(value))
	if f != nil {
		return nil, f
	}
	if parsed.root == nil {
		return &node{at: at, kind: missing}, nil
	}
	b.size += parsed.size
	return parsed.root, nil
}

func child(n *node, name string) *node {
	for _, p := range n.pairs {
		if p.key.text == name {
			return p.value
		}
	}
	return nil
}

// leaf is a field that a variable may name.
type leaf struct {
	path []string
	typ  reflect.Type
}

// lookUp returns the fields of t that the rest of a variable's name may mean:
// an underscore may part two names or belong to one.
func lookUp(t reflect.Type, rest string, path []string) []leaf {
	var found []leaf
	for _, f := range partsOf(t) {
		path := append(slices.Clip(path), f.name)
		name := variable(f.name)
		if rest == name {
			found = append(found, leaf{path, f.typ})
		}
		if deeper, ok := strings.CutPrefix(rest, name+"_"); ok {
			found = append(found, lookUp(f.typ, deeper, path)...)
		}
	}
	return found
}

// variables names all that t knows, to the point where it contains itself.
func variables(t reflect.Type, part string, around []reflect.Type) []string {
	t = deref(t)
	if slices.Contains(around, t) {
		return nil
	}
	around = append(slices.Clip(around), t)
	var all []string
	for _, f := range partsOf(t) {
		name := part + variable(f.name)
		all = append(all, name)
		all = append(all, variables(f.typ, name+"_", around)...)
	}
	return all
}

func partsOf(t reflect.Type) []field {
	t = deref(t)
	if t.Kind() != reflect.Struct || isScalar(t) {
		return nil
	}
	return fieldsOf(t)
}

func variable(name string) string {
	return strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(name))
}
