package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"unicode/utf8"
)

// maxSize of a document, in bytes.
const maxSize = 1 << 20

// YAML reads one YAML document; an empty one says nothing.
func YAML(data []byte) Source {
	return document{"yaml", parseYAML, inMemory(data)}
}

// YAMLFile is [YAML] from a file, which must exist.
func YAMLFile(path string) Source {
	return document{path, parseYAML, inFile(path)}
}

// JSON reads one JSON value; empty input says nothing.
func JSON(data []byte) Source {
	return document{"json", parseJSON, inMemory(data)}
}

// JSONFile is [JSON] from a file, which must exist.
func JSONFile(path string) Source {
	return document{path, parseJSON, inFile(path)}
}

// document is a source in one piece.
type document struct {
	name  string
	parse parser
	open  func() (io.ReadCloser, error)
}

// parser makes a tree of data, a document whose beginning is at. It reports at
// most one fault: that of a syntax that leaves no sense in the rest.
type parser func(at place, data []byte) (tree, *fault)

func (d document) read(rank int, _ reflect.Type) (tree, faults) {
	at := place{rank: rank, source: d.name}
	data, err := d.bytes()
	if err != nil {
		if pathError, ok := errors.AsType[*fs.PathError](err); ok {
			err = pathError.Err // at names the path already
		}
		return tree{}, faults{{at, "", err}}
	}
	t, f := parseText(d.parse, at, data)
	if f != nil {
		return tree{}, faults{f}
	}
	return t, nil
}

func (d document) bytes() ([]byte, error) {
	r, err := d.open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // nothing was written
	return io.ReadAll(io.LimitReader(r, maxSize+1))
}

func inMemory(data []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

func inFile(path string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return os.Open(path) }
}

// parseText checks what all documents have in common.
func parseText(parse parser, at place, data []byte) (tree, *fault) {
	if len(data) > maxSize {
		return tree{}, &fault{at, "", fmt.Errorf("larger than %d bytes", maxSize)}
	}
	if !utf8.Valid(data) {
		return tree{}, &fault{at, "", errors.New("not in UTF-8")}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if len(bytes.TrimSpace(data)) == 0 {
		return tree{}, nil
	}
	return parse(at, data)
}
