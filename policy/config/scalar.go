package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

var (
	durationType    = reflect.TypeFor[time.Duration]()
	unmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// isScalar reports whether values of type t are written as one scalar.
func isScalar(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(unmarshalerType) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64:
		return true
	}
	return false
}

// setScalar sets dst, of a type that [isScalar], to n.
func setScalar(dst reflect.Value, n *node) error {
	switch t := dst.Type(); {
	case reflect.PointerTo(t).Implements(unmarshalerType):
		return setText(dst, n)
	case t == durationType:
		return setDuration(dst, n)
	case dst.CanInt():
		return setInt(dst, n)
	case dst.CanUint():
		return setUint(dst, n)
	case dst.CanFloat():
		return setFloat(dst, n)
	case dst.Kind() == reflect.Bool:
		return setBool(dst, n)
	default:
		return setString(dst, n)
	}
}

// setText fills a new value, for the old one may share memory with its copies.
func setText(dst reflect.Value, n *node) error {
	if n.kind == mapping || n.kind == list {
		return mismatch(n, "a scalar")
	}
	v := reflect.New(dst.Type())
	if err := v.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text)); err != nil {
		return fmt.Errorf("%v: %w", n, err)
	}
	dst.Set(v.Elem())
	return nil
}

func setString(dst reflect.Value, n *node) error {
	switch n.kind {
	case str, untyped:
		dst.SetString(n.text)
		return nil
	case number, boolean:
		return fmt.Errorf("%v: must be a string: put it in quotes", n)
	}
	return mismatch(n, "a string")
}

func setBool(dst reflect.Value, n *node) error {
	if n.kind == boolean || n.kind == untyped {
		switch strings.ToLower(n.text) {
		case "true":
			dst.SetBool(true)
			return nil
		case "false":
			dst.SetBool(false)
			return nil
		}
	}
	return mismatch(n, "true or false")
}

func setDuration(dst reflect.Value, n *node) error {
	if n.kind == str || n.kind == number || n.kind == untyped {
		if d, err := time.ParseDuration(n.text); err == nil {
			dst.SetInt(int64(d))
			return nil
		}
		if _, err := strconv.ParseFloat(n.text, 64); err == nil {
			return fmt.Errorf("%v: a duration needs a unit, such as %q", n, n.text+"s")
		}
	}
	return mismatch(n, `a duration such as "250ms"`)
}

func setInt(dst reflect.Value, n *node) error {
	bits := dst.Type().Bits()
	v, err := strconv.ParseInt(n.text, 0, bits)
	if err := wholeNumber(n, err, fmt.Sprintf("between %d and %d", int64(-1)<<(bits-1), int64(1)<<(bits-1)-1)); err != nil {
		return err
	}
	dst.SetInt(v)
	return nil
}

func setUint(dst reflect.Value, n *node) error {
	bits := dst.Type().Bits()
	text, negative := strings.CutPrefix(n.text, "-")
	v, err := strconv.ParseUint(strings.TrimPrefix(text, "+"), 0, bits)
	if err == nil && negative && v != 0 {
		err = strconv.ErrRange
	}
	if err := wholeNumber(n, err, fmt.Sprintf("between 0 and %d", uint64(1)<<(bits-1)<<1-1)); err != nil {
		return err
	}
	dst.SetUint(v)
	return nil
}

// wholeNumber judges how parsing n as an integer went.
func wholeNumber(n *node, err error, bounds string) error {
	switch {
	case n.kind != number && n.kind != untyped:
		return mismatch(n, "a whole number")
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("%s: out of range: must be %s", shorten(n.text), bounds)
	case err != nil:
		return mismatch(n, "a whole number")
	}
	return nil
}

func setFloat(dst reflect.Value, n *node) error {
	if n.kind != number && n.kind != untyped {
		return mismatch(n, "a number")
	}
	v, err := parseFloat(n.text, dst.Type().Bits())
	if errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("%s: out of range", shorten(n.text))
	}
	if err != nil {
		return mismatch(n, "a number")
	}
	dst.SetFloat(v)
	return nil
}

// parseFloat takes integers as setInt does, and YAML's .inf and .nan.
func parseFloat(text string, bits int) (float64, error) {
	if i, err := strconv.ParseInt(text, 0, 64); err == nil {
		return float64(i), nil
	}
	text = strings.ReplaceAll(strings.ToLower(text), "_", "")
	for _, special := range []string{"inf", "nan"} {
		text = strings.Replace(text, "."+special, special, 1)
	}
	return strconv.ParseFloat(text, bits)
}
