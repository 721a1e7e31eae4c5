package otel

import (
	"net/url"
	"strings"
)

const redaction = "REDACTED"

// redacted is u without its secrets: userinfo, and the query values that the
// semantic conventions call sensitive.
func redacted(u *url.URL) string {
	query := redactedQuery(u.RawQuery)
	if u.User == nil && query == u.RawQuery {
		return u.String()
	}
	clean := *u
	clean.RawQuery = query
	if u.User != nil {
		clean.User = url.UserPassword(redaction, redaction)
	}
	return clean.String()
}

// redactedQuery keeps the order and the spelling of what is no secret.
func redactedQuery(query string) string {
	var b strings.Builder
	kept := 0 // what is before it is in b
	for start := 0; start < len(query); {
		end := len(query)
		if i := strings.IndexByte(query[start:], '&'); i >= 0 {
			end = start + i
		}
		key, value, _ := strings.Cut(query[start:end], "=")
		if value != "" && secret(key) {
			b.WriteString(query[kept : start+len(key)+1])
			b.WriteString(redaction)
			kept = end
		}
		start = end + 1
	}
	if kept == 0 {
		return query
	}
	b.WriteString(query[kept:])
	return b.String()
}

// secret knows the keys of url.full in version 1.43 of the semantic
// conventions, and those of the versions before it.
func secret(key string) bool {
	if strings.ContainsRune(key, '%') {
		if plain, err := url.QueryUnescape(key); err == nil {
			key = plain
		}
	}
	switch key {
	case "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "sig", "X-Goog-Signature",
		"AWSAccessKeyId", "Signature":
		return true
	}
	return false
}
