package config

import (
	"strconv"
	"unicode/utf8"
)

// tree is a parsed source, whatever its syntax.
type tree struct {
	root *node
	size int // nodes, aliases not followed
}

// node is one value with its place. Through aliases nodes may be shared, and may
// even contain themselves.
type node struct {
	at    place
	kind  kind
	text  string  // of a scalar, as it was written
	pairs []pair  // of a mapping, in order, duplicates included
	items []*node // of a list
}

type pair struct{ key, value *node }

type kind uint8

const (
	mapping kind = iota + 1
	list
	str
	number
	boolean
	null    // an explicit null
	missing // a key without a value
	merge   // the key << of YAML
	untyped // text that becomes whatever its field is: of a variable, or a key
	foreign // a YAML tag that has no meaning here; its text is the tag
)

// String quotes a node for a message.
func (n *node) String() string {
	switch n.kind {
	case mapping:
		return "a mapping"
	case list:
		return "a list"
	case null:
		return "null"
	case str, untyped:
		return strconv.Quote(shorten(n.text))
	default:
		return shorten(n.text)
	}
}

func shorten(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
