package otel

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"strings"
)

//go:embed console/page.html
var pageHTML string

//go:embed console/*.css console/*.js
var pageParts embed.FS

// Parts of the page's style and of its script, in the order in which they are
// read.
var (
	styleParts  = []string{"page.css", "tables.css"}
	scriptParts = []string{"words.js", "cells.js", "tables.js", "page.js"}
)

// page is the page in one piece, and the policy that allows its style and its
// script by their hashes (W3C Content Security Policy Level 3, section 8.4) and
// nothing else but its own data.
type page struct{ html, policy string }

func newPage() page {
	style, script := joined(styleParts), joined(scriptParts)
	return page{
		html: strings.NewReplacer(
			"<style></style>", "<style>"+style+"</style>",
			"<script></script>", "<script>"+script+"</script>",
		).Replace(pageHTML),
		policy: "default-src 'none'; style-src " + hashOf(style) + "; script-src " + hashOf(script) +
			"; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}
}

func joined(parts []string) string {
	var b strings.Builder
	for _, name := range parts {
		text, err := pageParts.ReadFile("console/" + name)
		if err != nil {
			panic(err) // it is embedded
		}
		b.Write(text)
		b.WriteByte('\n')
	}
	return b.String()
}

func hashOf(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (p page) serve(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", p.policy)
	_, _ = w.Write([]byte(p.html))
}
