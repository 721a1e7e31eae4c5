package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy/config"
)

func TestFaultsOfYAML(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ doc, want string }{
		"unknown field":       {"retry:\n  max_retrys: 1", `yaml:2:3: retry.max_retrys: unknown field; did you mean "max_retries"?`},
		"far from any field":  {"xyzzy: 1", `yaml:1:1: xyzzy: unknown field`},
		"untagged twin":       {"Name: x", `yaml:1:1: Name: unknown field; did you mean "name"?`},
		"excluded field":      {"hush: x", `yaml:1:1: hush: unknown field`},
		"excluded by json":    {"legacy: x", `yaml:1:1: legacy: unknown field`},
		"unexported field":    {"hidden: x", `yaml:1:1: hidden: unknown field`},
		"set twice":           {"name: a\nname: b", `yaml:2:1: name: set twice, first at yaml:1:1`},
		"map key set twice":   {"limits: {a: 1, 'a': 2}", `yaml:1:16: limits.a: set twice, first at yaml:1:10`},
		"part without value":  {"retry:", `yaml:1:7: retry: a key without a value: write {} to switch it on with its defaults, or null to switch it off`},
		"pointer w/o value":   {"maximum:", `yaml:1:9: maximum: a key without a value: write one, or null to switch it off`},
		"plain w/o value":     {"{count}", `yaml:1:7: count: a key without a value: write one, or leave the key out for its default`},
		"null for plain":      {"count: null", `yaml:1:8: count: null: cannot be switched off; leave the key out for its default`},
		"null for list":       {"words: ~", `yaml:1:8: words: null: cannot be switched off; leave the key out for its default`},
		"null for root":       {"null", `yaml:1:1: null: cannot be switched off; leave the key out for its default`},
		"bare duration":       {"wait: 30", `yaml:1:7: wait: 30: a duration needs a unit, such as "30s"`},
		"quoted bare number":  {"wait: '1.5'", `yaml:1:7: wait: "1.5": a duration needs a unit, such as "1.5s"`},
		"no duration":         {"wait: soon", `yaml:1:7: wait: "soon": must be a duration such as "250ms"`},
		"list for duration":   {"wait: [1s]", `yaml:1:7: wait: a list: must be a duration such as "250ms"`},
		"number for string":   {"name: 3", `yaml:1:7: name: 3: must be a string: put it in quotes`},
		"long text":           {"count: " + strings.Repeat("ä", 100), `yaml:1:8: count: "` + strings.Repeat("ä", 30) + `…": must be a whole number`},
		"foreign mapping":     {"retry: !!set {a}", `yaml:1:8: retry: the tag !!set has no meaning here`},
		"bool for float":      {"share: true", `yaml:1:8: share: true: must be a number`},
		"list for string":     {"name: []", `yaml:1:7: name: a list: must be a string`},
		"yes for bool":        {"verbose: yes", `yaml:1:10: verbose: "yes": must be true or false`},
		"string for int":      {"count: '1'", `yaml:1:8: count: "1": must be a whole number`},
		"fraction for int":    {"count: 1.5", `yaml:1:8: count: 1.5: must be a whole number`},
		"int8 overflow":       {"small: 128", `yaml:1:8: small: 128: out of range: must be between -128 and 127`},
		"int64 overflow":      {"count: 99999999999999999999", `yaml:1:8: count: 99999999999999999999: out of range: must be between -9223372036854775808 and 9223372036854775807`},
		"uint underflow":      {"port: -1", `yaml:1:7: port: -1: out of range: must be between 0 and 65535`},
		"uint64 overflow":     {"total: 18446744073709551616", `yaml:1:8: total: 18446744073709551616: out of range: must be between 0 and 18446744073709551615`},
		"string for float":    {"share: half", `yaml:1:8: share: "half": must be a number`},
		"float overflow":      {"rough: 1e39", `yaml:1:8: rough: 1e39: out of range`},
		"bad text":            {"addr: nowhere", `yaml:1:7: addr: "nowhere": ParseAddr("nowhere"): unable to parse IP`},
		"mapping for text":    {"addr: {}", `yaml:1:7: addr: a mapping: must be a scalar`},
		"scalar for part":     {"retry: true", `yaml:1:8: retry: true: must be a mapping`},
		"text for part":       {"retry: secret", `yaml:1:8: retry: a string: must be a mapping`},
		"text for list":       {"words: secret", `yaml:1:8: words: a string: must be a list`},
		"merging a text":      {"retry: {<<: secret}", `yaml:1:13: retry.<<: a string: must be a mapping to merge`},
		"scalar for map":      {"limits: 1", `yaml:1:9: limits: 1: must be a mapping`},
		"mapping for list":    {"words: {a: b}", `yaml:1:8: words: a mapping: must be a list`},
		"list for root":       {"[1]", `yaml:1:1: a list: must be a mapping`},
		"inside a list":       {"hosts:\n- weight: 1\n- weight: x", `yaml:3:11: hosts[1].weight: "x": must be a whole number`},
		"inside a map":        {"limits: {a.b: x}", `yaml:1:15: limits["a.b"]: "x": must be a whole number`},
		"bad map key":         {"byaddr: {x: 1s}", `yaml:1:10: byaddr.x: key "x": ParseAddr("x"): unable to parse IP`},
		"key that is a list":  {"[a]: 1", `yaml:1:1: a list: must be a string, to be a key`},
		"key that is null":    {"~: 1", `yaml:1:1: null: must be a string, to be a key`},
		"unsupported type":    {"callback: x", `yaml:1:11: callback: a func() cannot be configured`},
		"unknown tag":         {"name: !secret x", `yaml:1:7: name: the tag !secret has no meaning here`},
		"binary":              {"name: !!binary eA==", `yaml:1:7: name: the tag !!binary has no meaning here`},
		"merging a scalar":    {"retry: {<<: 1}", `yaml:1:13: retry.<<: 1: must be a mapping to merge`},
		"two documents":       {"name: a\n---\nname: b", `yaml:2:1: more than one document`},
		"an end and more":     {"name: a\n...\n[", `yaml: line 2: did not find expected <document start>`},
		"unknown alias":       {"name: *x", `yaml: unknown anchor 'x' referenced`},
		"bad syntax":          {"name: a\n  b: c", `yaml: line 2: mapping values are not allowed in this context`},
		"not UTF-8":           {"name: \xff", `yaml: not in UTF-8`},
		"by Validate":         {"share: 2", `yaml:1:8: share: must be between 0 and 1`},
		"NaN, by Validate":    {"share: .nan", `yaml:1:8: share: must be between 0 and 1`},
		"Inf, by Validate":    {"share: -.Inf", `yaml:1:8: share: must be between 0 and 1`},
		"Validate on a part":  {"retry: {multiplier: -1}", `yaml:1:8: retry.budget: must be set: the multiplier is negative`},
		"Validate on no path": {"count: -1", `result: not with this count`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, refused(t, config.YAML([]byte(c.doc))))
		})
	}
}

func TestFaultsOfJSON(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ doc, want string }{
		"unknown field":   {"{\n  \"retry\": {\"max_retry\": 1}\n}", `json:2:13: retry.max_retry: unknown field; did you mean "max_retries"?`},
		"column in runes": {`{"name": "äöü", "count": "1"}`, `json:1:26: count: "1": must be a whole number`},
		"set twice":       {`{"name": "a", "name": "b"}`, `json:1:15: name: set twice, first at json:1:2`},
		"null for plain":  {`{"count": null}`, `json:1:11: count: null: cannot be switched off; leave the key out for its default`},
		"bare duration":   {`{"wait": 5}`, `json:1:10: wait: 5: a duration needs a unit, such as "5s"`},
		"exponent":        {`{"count": 1e3}`, `json:1:11: count: 1e3: must be a whole number`},
		"no merge key":    {`{"<<": {}}`, `json:1:2: <<: unknown field`},
		"YAML":            {`{name: a}`, `json:1:2: invalid character 'n' looking for beginning of object key string`},
		"comment":         {"{}\n# none", `json:2:1: invalid character '#' after top-level value`},
		"trailing comma":  {`{"name": "a",}`, `json:1:14: invalid character '}' looking for beginning of object key string`},
		"cut off":         {`{"name":`, `json:1:8: unexpected end of JSON input`},
		"two values":      {`{} {}`, `json:1:4: invalid character '{' after top-level value`},
		"by Validate":     {`{"share": 2}`, `json:1:11: share: must be between 0 and 1`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, refused(t, config.JSON([]byte(c.doc))))
		})
	}
}

func TestFaultsOfTheEnvironment(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		vars []string
		want string
	}{
		"unknown variable": {[]string{"APP_RETRY_MAX_BACKOF=1s"},
			`environment variable APP_RETRY_MAX_BACKOF: unknown variable; did you mean "APP_RETRY_MAX_BACKOFF"?`},
		"bare duration": {[]string{"APP_WAIT=5"},
			`environment variable APP_WAIT: wait: "5": a duration needs a unit, such as "5s"`},
		"empty value": {[]string{"APP_COUNT="},
			`environment variable APP_COUNT: count: "": must be a whole number`},
		"empty part": {[]string{"APP_RETRY="},
			`environment variable APP_RETRY: retry: a key without a value: write {} to switch it on with its defaults, or null to switch it off`},
		"null for plain": {[]string{"APP_COUNT=null"},
			`environment variable APP_COUNT: count: "null": must be a whole number`},
		"off and on": {[]string{"APP_RETRY_MAX_RETRIES=1", "APP_RETRY=null"},
			`environment variable APP_RETRY_MAX_RETRIES: retry.max_retries: retry is already set by environment variable APP_RETRY`},
		"set twice": {[]string{"APP_RETRY_MAX_RETRIES=1", `APP_RETRY={"max_retries": 1}`},
			`environment variable APP_RETRY_MAX_RETRIES: retry.max_retries: set twice, first at environment variable APP_RETRY:1:2`},
		"not JSON": {[]string{"APP_WORDS=a,b"},
			`environment variable APP_WORDS:1:1: invalid character 'a' looking for beginning of value`},
		"by Validate": {[]string{"APP_SHARE=NaN"},
			`environment variable APP_SHARE: share: must be between 0 and 1`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, refused(t, config.Environ("APP", c.vars)))
		})
	}
}

func TestEnvNeedsAPrefix(t *testing.T) {
	t.Parallel()
	require.Equal(t, "environment: the prefix must not be empty", refused(t, config.Env("")))
}

func TestVariableThatCouldBeTwoFields(t *testing.T) {
	t.Parallel()
	var dst struct {
		Retry    struct{ Max int }
		RetryMax int `yaml:"retry_max"`
	}
	require.EqualError(t, config.Load(&dst, config.Environ("APP", []string{"APP_RETRY_MAX=1"})),
		"environment variable APP_RETRY_MAX: could be retry.max or retry_max; use a file for them")
}

func TestAllFaultsAtOnceInOrder(t *testing.T) {
	t.Parallel()
	got := refused(t,
		config.YAML([]byte("wait: 5\nretry:\n  max_retries: 11\n  max_backof: 1s\nshare: 2\nname: [")),
		config.JSON([]byte(`{"wait": 5, "share": 2, "retry": {"max_retries": 11}, "nam": ""}`)),
		config.Environ("APP", []string{"APP_XYZZY=1", "APP_COUNT=x"}),
	)
	require.Equal(t, strings.Join([]string{
		`yaml: line 6: did not find expected node content`,
		`json:1:10: wait: 5: a duration needs a unit, such as "5s"`,
		`json:1:55: nam: unknown field; did you mean "name"?`,
		`environment variable APP_COUNT: count: "x": must be a whole number`,
		`environment variable APP_XYZZY: unknown variable`,
	}, "\n"), got, "what Validate would say of a source that cannot be read is left out")

	got = refused(t,
		config.YAML([]byte("wait: 5\nretry:\n  max_retries: 11\n  max_backof: 1s\nshare: 2\n")),
		config.JSON([]byte(`{"count": -1, "share": 2}`)),
	)
	require.Equal(t, strings.Join([]string{
		`yaml:1:7: wait: 5: a duration needs a unit, such as "5s"`,
		`yaml:3:16: retry.max_retries: must be ≤ 10`,
		`yaml:4:3: retry.max_backof: unknown field; did you mean "max_backoff"?`,
		`json:1:24: share: must be between 0 and 1`,
		`result: not with this count`,
	}, "\n"), got)
}

type strict struct {
	Name string
	Next *strict
}

var errUnnamed = errors.New("must be set")

func (s strict) Validate() error {
	if s.Name == "" {
		return fmt.Errorf("name: %w", errUnnamed)
	}
	return nil
}

func TestValidateErrorsCanBeMatched(t *testing.T) {
	t.Parallel()
	var s strict
	err := config.Load(&s)
	require.ErrorIs(t, err, errUnnamed)
	require.EqualError(t, err, "result: name: must be set")
}

func TestUnknownVariableDoesNotHideWhatValidateSays(t *testing.T) {
	t.Parallel()
	var s strict
	require.EqualError(t, config.Load(&s, config.Environ("APP", []string{"APP_XYZZY=1"})),
		"environment variable APP_XYZZY: unknown variable\nresult: name: must be set")
}

func TestFieldWithAFaultIsNotValidatedAsWell(t *testing.T) {
	t.Parallel()
	var s strict
	require.EqualError(t, config.Load(&s, config.YAML([]byte("name: 1"))),
		"yaml:1:7: name: 1: must be a string: put it in quotes")
}

type family struct {
	Kids []family
	Toys map[string]int
}

func TestBillionLaughsAreRefused(t *testing.T) {
	t.Parallel()
	toys := ""
	for i := range 1000 {
		toys += fmt.Sprintf("t%d: 1,", i)
	}
	generations := "kids:\n- &g0 {}\n"
	for i := range 9 {
		generations += fmt.Sprintf("- &g%d {kids: [%s]}\n", i+1, strings.Repeat(fmt.Sprintf("*g%d,", i), 10))
	}
	cases := map[string]struct{ doc, want string }{
		"generations":     {generations, "aliases add more than 10000 values"},
		"contains itself": {"kids: &a [{kids: *a}]", "nested more than 100 deep"},
		"twice itself":    {"kids: &a [{kids: *a}, {kids: *a}]", "aliases add more than 10000 values"},
		"merges itself":   {"kids: [&a {<<: *a}]", "nested more than 100 deep"},
		"merges much":     {"kids: [toys: &a {" + toys + "}, toys: {<<: [" + strings.Repeat("*a,", 20) + "]}]", "aliases add more than 10000 values"},
		"not by aliases":  {strings.Repeat("{kids: [", 60) + strings.Repeat("]}", 60), "nested more than 100 deep"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f family
			require.ErrorContains(t, config.Load(&f, config.YAML([]byte(c.doc))), c.want)
			require.Zero(t, f)
		})
	}
}

func TestLargeDocumentsAreRefused(t *testing.T) {
	t.Parallel()
	large := []byte(strings.Repeat(" ", 1<<20) + "\n")
	require.Equal(t, "yaml: larger than 1048576 bytes\njson: larger than 1048576 bytes",
		refused(t, config.YAML(large), config.JSON(large)))
	require.NoError(t, config.Load(new(settings), config.YAML(large[1:])))
}
