package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
)

// parseJSON does not go through YAML, whose parser takes much that is not JSON
// and does not take all that is.
func parseJSON(at place, data []byte) (tree, *fault) {
	b := jsonBuilder{data: data, at: at, dec: json.NewDecoder(bytes.NewReader(data))}
	b.at.line, b.at.column = 1, 1
	b.dec.UseNumber()
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			b.advance(max(0, int(syntax.Offset)-1))
		}
		return tree{}, &fault{b.at, "", err}
	}
	root, err := b.node()
	if err != nil {
		return tree{}, &fault{b.at, "", err}
	}
	return tree{root, b.size}, nil
}

type jsonBuilder struct {
	data   []byte
	dec    *json.Decoder
	offset int   // of at
	at     place // of the token last read
	size   int
}

func (b *jsonBuilder) node() (*node, error) {
	token, err := b.next()
	if err != nil {
		return nil, err
	}
	n := &node{at: b.at}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			n.kind = mapping
			err = b.pairs(n)
		} else {
			n.kind = list
			err = b.items(n)
		}
	case string:
		n.kind, n.text = str, t
	case json.Number:
		n.kind, n.text = number, t.String()
	case bool:
		n.kind, n.text = boolean, strconv.FormatBool(t)
	case nil:
		n.kind = null
	}
	return n, err
}

func (b *jsonBuilder) pairs(n *node) error {
	for b.dec.More() {
		key, err := b.node()
		if err != nil {
			return err
		}
		value, err := b.node()
		if err != nil {
			return err
		}
		n.pairs = append(n.pairs, pair{key, value})
	}
	_, err := b.dec.Token()
	return err
}

func (b *jsonBuilder) items(n *node) error {
	for b.dec.More() {
		item, err := b.node()
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
	_, err := b.dec.Token()
	return err
}

// next reads a token and moves at to its beginning.
func (b *jsonBuilder) next() (json.Token, error) {
	end := int(b.dec.InputOffset())
	b.advance(end + len(b.data[end:]) - len(bytes.TrimLeft(b.data[end:], " \t\r\n,:")))
	b.size++
	return b.dec.Token()
}

func (b *jsonBuilder) advance(offset int) {
	for _, r := range string(b.data[b.offset:offset]) {
		b.at.column++
		if r == '\n' {
			b.at.line++
			b.at.column = 1
		}
	}
	b.offset = offset
}
