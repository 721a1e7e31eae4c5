package otel

import (
	"os"
	"strings"
)

// methods are the HTTP methods that may be names and attributes; nil means
// those that the semantic conventions know.
type methods map[string]bool

const methodOther = other

// knownMethods reads the variable that the semantic conventions ask for. It
// replaces the list, not adds to it.
func knownMethods() methods {
	list := os.Getenv("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS")
	if list == "" {
		return nil
	}
	known := make(methods)
	for m := range strings.SplitSeq(list, ",") {
		known[strings.TrimSpace(m)] = true
	}
	return known
}

// normal returns method where it is known, else _OTHER.
func (ms methods) normal(method string) string {
	if method == "" {
		method = "GET"
	}
	if ms.has(method) {
		return method
	}
	return methodOther
}

func (ms methods) has(method string) bool {
	if ms != nil {
		return ms[method]
	}
	switch method {
	case "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE":
		return true
	}
	return false
}
