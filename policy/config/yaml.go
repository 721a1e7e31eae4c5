package config

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

func parseYAML(at place, data []byte) (tree, *fault) {
	docs := yaml.NewDecoder(bytes.NewReader(data))
	first, err := nextDocument(docs)
	if errors.Is(err, io.EOF) {
		return tree{}, nil
	}
	if err != nil {
		return tree{}, &fault{at, "", err}
	}
	second, err := nextDocument(docs)
	if err == nil {
		at.line, at.column = second.Line, second.Column
		return tree{}, &fault{at, "", errors.New("more than one document")}
	}
	if !errors.Is(err, io.EOF) {
		return tree{}, &fault{at, "", err}
	}
	b := yamlBuilder{at: at, anchored: map[*yaml.Node]*node{}}
	root := b.node(first.Content[0])
	if root.kind == missing {
		return tree{}, nil
	}
	return tree{root, b.size}, nil
}

// nextDocument returns io.EOF after the last one.
func nextDocument(docs *yaml.Decoder) (*yaml.Node, error) {
	doc := new(yaml.Node)
	err := docs.Decode(doc)
	if err != nil && !errors.Is(err, io.EOF) {
		err = errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return doc, err
}

type yamlBuilder struct {
	at       place
	anchored map[*yaml.Node]*node
	size     int
}

func (b *yamlBuilder) node(y *yaml.Node) *node {
	if y.Kind == yaml.AliasNode {
		return b.node(y.Alias)
	}
	if n, ok := b.anchored[y]; ok {
		return n
	}
	b.size++
	n := &node{at: b.at, text: y.Value}
	n.at.line, n.at.column = y.Line, y.Column
	if y.Anchor != "" {
		b.anchored[y] = n // before its children, which may refer to it
	}
	n.kind = kindOf(y)
	switch n.kind {
	case foreign:
		n.text = y.Tag
	case list:
		n.items = make([]*node, len(y.Content))
		for i, item := range y.Content {
			n.items[i] = b.node(item)
		}
	case mapping:
		n.pairs = make([]pair, len(y.Content)/2)
		for i := range n.pairs {
			n.pairs[i] = pair{b.node(y.Content[2*i]), b.node(y.Content[2*i+1])}
		}
	}
	return n
}

func kindOf(y *yaml.Node) kind {
	tag := y.ShortTag()
	switch y.Kind {
	case yaml.MappingNode:
		if tag == "!!map" {
			return mapping
		}
	case yaml.SequenceNode:
		if tag == "!!seq" {
			return list
		}
	case yaml.ScalarNode:
		return scalarKind(tag, y.Value)
	}
	return foreign
}

func scalarKind(tag, text string) kind {
	switch tag {
	case "!!str", "!!timestamp":
		return str
	case "!!int", "!!float":
		return number
	case "!!bool":
		return boolean
	case "!!merge":
		return merge
	case "!!null":
		if text == "" {
			return missing
		}
		return null
	}
	return foreign
}
