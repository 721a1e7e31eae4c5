package config_test

import (
	"io/fs"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy/config"
)

func TestLoadReadsEveryType(t *testing.T) {
	t.Parallel()
	maximum := 7
	want := settings{
		Common:  Common{Region: "eu"},
		lent:    lent{Verbose: true},
		Extra:   &Extra{Label: "l", Note: "n"},
		Name:    "3",
		Mode:    "fast",
		Small:   -128,
		Count:   1_000,
		Port:    0xffff,
		Total:   math.MaxUint64,
		Share:   1e-2,
		Rough:   2,
		Wait:    -time.Second,
		Addr:    netip.MustParseAddr("10.0.0.1"),
		Retry:   &retry{MaxBackoff: 250 * time.Millisecond},
		Maximum: &maximum,
		Hosts:   []host{{Addr: "a", Weight: 1}, {}},
		Words:   []string{},
		Limits:  map[string]int{"a.b": 1},
		Routes:  map[mode]*host{"x": {Weight: 2}, "y": nil},
		ByAddr:  map[netip.Addr]time.Duration{netip.MustParseAddr("::1"): 0},
		Next:    &settings{Name: "inner"},
	}
	t.Run("YAML", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, want, loadYAML(t, `
region: eu
verbose: true
label: l
note: n
name: "3"
mode: fast
small: -128
count: 1_000
port: 0xffff
total: 18446744073709551615
share: 1e-2
rough: 2
wait: -1s
addr: 10.0.0.1
retry: {max_backoff: 250ms}
maximum: 7
hosts:
  - addr: a
    weight: 1
  - {}
words: []
limits: {a.b: 1}
routes: {x: {weight: 2}, y: ~}
byaddr: {"::1": 0}
next: {name: inner}
`))
	})
	t.Run("JSON", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, want, load(t, config.JSON([]byte(`{
"region": "eu", "verbose": true, "label": "l", "note": "n", "name": "3", "mode": "fast", "small": -128,
"count": 1000, "port": 65535, "total": 18446744073709551615, "share": 1e-2, "rough": 2, "wait": "-1s",
"addr": "10.0.0.1", "retry": {"max_backoff": "250ms"}, "maximum": 7, "hosts": [{"addr": "a", "weight": 1}, {}],
"words": [], "limits": {"a.b": 1}, "routes": {"x": {"weight": 2}, "y": null}, "byaddr": {"::1": 0},
"next": {"name": "inner"}}`))))
	})
	t.Run("environment", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, want, load(t, config.Environ("APP", []string{
			"APP_REGION=eu", "APP_VERBOSE=true", "APP_LABEL=l", "APP_NOTE=n", "APP_NAME=3", "APP_MODE=fast", "APP_SMALL=-128",
			"APP_COUNT=1_000", "APP_PORT=0xffff", "APP_TOTAL=18446744073709551615", "APP_SHARE=1e-2", "APP_ROUGH=2", "APP_WAIT=-1s",
			"APP_ADDR=10.0.0.1", "APP_RETRY_MAX_BACKOFF=250ms", "APP_MAXIMUM=7", `APP_HOSTS=[{"addr": "a", "weight": 1}, {}]`,
			"APP_WORDS=[]", `APP_LIMITS={"a.b": 1}`, `APP_ROUTES={"x": {"weight": 2}, "y": null}`, `APP_BYADDR={"::1": 0}`,
			"APP_NEXT_NAME=inner", "APPLE=unrelated", "APP=unrelated",
		})))
	})
}

func TestLoadKeepsWhatNoSourceMentions(t *testing.T) {
	t.Parallel()
	s := settings{Name: "default", Retry: &retry{MaxRetries: 3, MaxBackoff: time.Second}, hidden: "kept"}
	require.NoError(t, config.Load(&s,
		config.YAML([]byte("retry: {max_backoff: 2s}")),
		nil,
		config.JSON([]byte(`{"retry": {"multiplier": 2}}`)),
		config.Environ("APP", []string{"APP_COUNT=1"}),
	))
	require.Equal(t, settings{
		Name:   "default",
		Retry:  &retry{MaxRetries: 3, MaxBackoff: 2 * time.Second, Multiplier: 2},
		Count:  1,
		hidden: "kept",
	}, s)
}

func TestLaterSourcesWin(t *testing.T) {
	t.Parallel()
	s := load(t,
		config.YAML([]byte("{name: file, count: 1, words: [a, b], limits: {a: 1, b: 1}, routes: {x: {addr: x, weight: 1}}}")),
		config.JSON([]byte(`{"name": "json", "words": ["c"], "limits": {"b": 2}, "routes": {"x": {"weight": 2}}}`)),
		config.Environ("APP", []string{"APP_NAME=env"}),
	)
	require.Equal(t, settings{
		Name:   "env",
		Count:  1,
		Words:  []string{"c"},
		Limits: map[string]int{"a": 1, "b": 2},
		Routes: map[mode]*host{"x": {Addr: "x", Weight: 2}},
	}, s)
}

func TestNullSwitchesOffAndBracesSwitchOn(t *testing.T) {
	t.Parallel()
	off := []config.Source{
		config.YAML([]byte("retry: null")), config.YAML([]byte("retry: ~")),
		config.JSON([]byte(`{"retry": null}`)), config.Environ("APP", []string{"APP_RETRY=null"}),
	}
	for _, source := range off {
		s := settings{Retry: &retry{MaxRetries: 3}}
		require.NoError(t, config.Load(&s, source))
		require.Nil(t, s.Retry)
	}
	on := []config.Source{
		config.YAML([]byte("retry: {}")), config.JSON([]byte(`{"retry": {}}`)), config.Environ("APP", []string{"APP_RETRY={}"}),
	}
	for _, source := range on {
		require.Equal(t, &retry{}, load(t, config.YAML([]byte("retry: null")), source).Retry)
		s := settings{Retry: &retry{MaxRetries: 3}}
		require.NoError(t, config.Load(&s, source))
		require.Equal(t, &retry{MaxRetries: 3}, s.Retry)
	}
}

func TestLoadNeverWritesThroughTheDefaults(t *testing.T) {
	t.Parallel()
	defaults := func() settings {
		return settings{
			Extra:  &Extra{Label: "l"},
			Retry:  &retry{MaxRetries: 3},
			Words:  []string{"a"},
			Limits: map[string]int{"a": 1},
			Routes: map[mode]*host{"x": {Weight: 1}},
		}
	}
	const doc = "{label: m, retry: {max_retries: 1}, words: [b], limits: {a: 2}, routes: {x: {weight: 2}}}"
	shared := defaults()

	loaded := shared
	require.NoError(t, config.Load(&loaded, config.YAML([]byte(doc))))
	require.Equal(t, defaults(), shared)
	require.Equal(t, 1, loaded.Retry.MaxRetries)
	require.Equal(t, 2, loaded.Routes["x"].Weight)

	rejected := shared
	require.Error(t, config.Load(&rejected, config.YAML([]byte(doc)), config.YAML([]byte("share: 2"))))
	require.Equal(t, defaults(), shared)
	require.Equal(t, defaults(), rejected)
}

func TestEmptySourcesSayNothing(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{"", " \n\t", "\ufeff", "\ufeff \n"} {
		require.Zero(t, load(t, config.YAML([]byte(doc)), config.JSON([]byte(doc))))
	}
	for _, doc := range []string{"# nothing\n", "---\n", "---\n...\n", "\ufeff# nothing"} {
		require.Zero(t, loadYAML(t, doc))
	}
	require.Zero(t, load(t))
	require.Zero(t, load(t, config.Environ("APP", nil)))
}

func TestByteOrderMarkIsSkipped(t *testing.T) {
	t.Parallel()
	require.Equal(t, "x", loadYAML(t, "\ufeffname: x").Name)
	require.Equal(t, "x", load(t, config.JSON([]byte("\ufeff{\"name\": \"x\"}"))).Name)
}

func TestFilesAreRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, doc string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(doc), 0o600))
		return path
	}
	s := load(t, config.YAMLFile(write("a.yaml", "name: x")), config.JSONFile(write("b.json", `{"count": 1}`)))
	require.Equal(t, settings{Name: "x", Count: 1}, s)

	path := write("c.yaml", "name: [")
	require.Contains(t, refused(t, config.YAMLFile(path)), path+": ")
}

func TestMissingFileIsAFault(t *testing.T) {
	t.Parallel()
	var s settings
	err := config.Load(&s, config.YAMLFile("absent.yaml"), config.JSONFile("."))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.EqualError(t, err, "absent.yaml: no such file or directory\n.: is a directory")
}

func TestLoadIntoNothing(t *testing.T) {
	t.Parallel()
	require.EqualError(t, config.Load[settings](nil), "config: nothing to load into: dst is nil")
}

func TestLoadIntoWhatIsNoStruct(t *testing.T) {
	t.Parallel()
	var m map[string]time.Duration
	require.NoError(t, config.Load(&m, config.YAML([]byte("a: 1s"))))
	require.Equal(t, map[string]time.Duration{"a": time.Second}, m)

	var p *retry
	require.NoError(t, config.Load(&p, config.JSON([]byte(`{"max_retries": 1}`))))
	require.Equal(t, &retry{MaxRetries: 1}, p)
	require.NoError(t, config.Load(&p, config.JSON([]byte("null"))))
	require.Nil(t, p)
}

type Ring struct {
	*Ring
	Name string
}

func TestStructThatEmbedsItself(t *testing.T) {
	t.Parallel()
	var r Ring
	require.NoError(t, config.Load(&r, config.YAML([]byte("name: x")), config.Environ("APP", []string{"APP_NAME=y"})))
	require.Equal(t, Ring{Name: "y"}, r)
}

func TestBoolsOfTheEnvironment(t *testing.T) {
	t.Parallel()
	s := settings{lent: lent{Verbose: true}}
	require.NoError(t, config.Load(&s, config.Environ("APP", []string{"APP_VERBOSE=False"})))
	require.False(t, s.Verbose)
	require.Equal(t, `environment variable APP_VERBOSE: verbose: "1": must be true or false`,
		refused(t, config.Environ("APP", []string{"APP_VERBOSE=1"})))
}

func TestEnvReadsTheProcess(t *testing.T) {
	t.Setenv("MAGNETAR_RETRY_MAX_BACKOFF", "2s")
	require.Equal(t, 2*time.Second, load(t, config.Env("MAGNETAR")).Retry.MaxBackoff)
	require.Equal(t, 2*time.Second, load(t, config.Env("MAGNETAR_")).Retry.MaxBackoff)
}

func TestAliasesAndMergeKeys(t *testing.T) {
	t.Parallel()
	s := loadYAML(t, `
routes:
  a: &a {addr: a, weight: 1}
  b: &b {addr: b}
  c: *a
  d: {<<: *a, weight: 2}
  e: {addr: e, <<: [*b, *a]}
hosts: [*a, {<<: *b, weight: 3}]
`)
	require.Equal(t, map[mode]*host{
		"a": {Addr: "a", Weight: 1}, "b": {Addr: "b"}, "c": {Addr: "a", Weight: 1},
		"d": {Addr: "a", Weight: 2}, "e": {Addr: "e", Weight: 1},
	}, s.Routes)
	require.Equal(t, []host{{Addr: "a", Weight: 1}, {Addr: "b", Weight: 3}}, s.Hosts)
}

func TestLongDocumentsNeedNoAliases(t *testing.T) {
	t.Parallel()
	const hosts = 50_000
	s := loadYAML(t, "hosts: ["+strings.Repeat("{weight: 1},", hosts)+"]")
	require.Len(t, s.Hosts, hosts)
}
