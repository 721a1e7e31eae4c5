package otel

import (
	"crypto/sha256"
	_ "embed" // of the page's parts
	"encoding/base64"
	"net/http"
	"strings"
)

//go:embed console/page.html
var pageHTML string

//go:embed console/page.css
var pageCSS string

//go:embed console/page.js
var pageJS string

// page is the page in one piece, and the policy that allows its style and its
// script by their hashes (W3C Content Security Policy Level 3, section 8.4) and
// nothing else but its own data.
type page struct{ html, policy string }

func newPage() page {
	return page{
		html: strings.NewReplacer(
			"<style></style>", "<style>"+pageCSS+"</style>",
			"<script></script>", "<script>"+pageJS+"</script>",
		).Replace(pageHTML),
		policy: "default-src 'none'; style-src " + hashOf(pageCSS) + "; script-src " + hashOf(pageJS) +
			"; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}
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
