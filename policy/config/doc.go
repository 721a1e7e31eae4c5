// Package config loads configuration strictly: from YAML, JSON and the
// environment, over the defaults of a struct that is already filled.
//
//	cfg := transport.Default()
//	err := config.Load(&cfg, config.YAMLFile("outbound.yaml"), config.Env("MAGNETAR"))
//
// A field is called by its yaml tag, else by its json tag, else by its name in
// lower case; embedded structs and those tagged inline lend their fields to the
// struct around them. Sources are applied in the order given, field by field:
// what a source does not mention keeps its value. Mappings are merged, lists
// are replaced.
//
// A part behind a pointer is switched off by an explicit null and switched on,
// with its defaults, by {}. A key without a value (`retry:`) could be meant as
// either and is refused.
//
// Values are taken as they are meant and nothing else: a duration is a string
// with a unit ("250ms", "-1s"; a bare 0 is allowed), a string is never made of a
// number, an integer never of a fraction. Integers may be written as in Go
// (0x10, 1_000). Types that implement [encoding.TextUnmarshaler] are read from
// any scalar.
//
// Refused are: unknown fields and variables, keys that are set twice, values of
// the wrong type or out of range, more than one document, documents over 1 MiB
// or not in UTF-8, and YAML aliases that blow up a document. All faults are
// reported at once, a line each:
//
//	outbound.yaml:3:3: retry.max_retry: unknown field; did you mean "max_retries"?
//	outbound.yaml:4:16: retry.max_backoff: 30: a duration needs a unit, such as "30s"
//
// The package is for programs; nothing in the kit imports it, so that a program
// which configures in Go pays for no YAML.
package config
