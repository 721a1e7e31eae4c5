package magnetar_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/magnetar-go/magnetar"

// engine is the module whose types no exported identifier may name.
const engine = "github.com/failsafe-go/failsafe-go"

// room is a part of the module: a package with those inside it that have no
// room of their own.
type room struct {
	name string
	// may lists the rooms below it and the foreign packages it may import, a
	// trailing /... meaning all packages from there on.
	may []string
}

// house is the module from bottom to top. Imports go down only; policy/config and
// policy/redis are for programs, so they stand in nobody's list.
var house = []room{
	{"policy", []string{engine + "/..."}},
	{"policy/config", []string{"go.yaml.in/yaml/v3"}},
	{"policy/redis", []string{"github.com/redis/go-redis/v9", "policy"}},
	{"otel", with(openTelemetry, "policy")},
	{"pool", with(openTelemetry, "policy", "otel")},
	{"transport", with(openTelemetry, "policy", "otel")},
	{"middleware", with(openTelemetry, "policy", "otel", "github.com/go-chi/chi/v5/...")},
	{"", nil},
}

// openTelemetry is its API. The SDK and the exporters are the program's choice.
var openTelemetry = []string{
	"go.opentelemetry.io/otel",
	"go.opentelemetry.io/otel/attribute/...",
	"go.opentelemetry.io/otel/codes",
	"go.opentelemetry.io/otel/metric/...",
	"go.opentelemetry.io/otel/propagation",
	"go.opentelemetry.io/otel/semconv/...",
	"go.opentelemetry.io/otel/trace/...",
}

func with(list []string, more ...string) []string { return slices.Concat(list, more) }

func TestImportsGoDownOnly(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t) {
		for _, path := range p.Imports {
			require.Truef(t, mayImport(p.ImportPath, path), "%s must not import %s", p.ImportPath, path)
		}
	}
}

func TestImportsUpAreFound(t *testing.T) {
	t.Parallel()
	cases := []struct {
		from, path string
		may        bool
	}{
		{"policy", "net/http", true},
		{"policy", engine, true},
		{"policy", engine + "/circuitbreaker", true},
		{"policy", engine + "-fork", false},
		{"policy", "go.yaml.in/yaml/v3", false},
		{"policy", module + "/transport", false},
		{"policy", module + "/policy/internal/heap", true},
		{"policy", module + "/policy/config", false},
		{"policy/internal/heap", module + "/policy", true},
		{"policy", module + "/policy/redis", false},
		{"policy/config", "go.yaml.in/yaml/v3", true},
		{"policy/config", module + "/policy", false},
		{"policy/redis", "github.com/redis/go-redis/v9", true},
		{"policy/redis", module + "/policy", true},
		{"policy/redis", module + "/otel", false},
		{"otel", module + "/policy", true},
		{"otel", module + "/transport", false},
		{"otel", "go.opentelemetry.io/otel", true},
		{"otel", "go.opentelemetry.io/otel/trace/noop", true},
		{"otel", "go.opentelemetry.io/otel/sdk/trace", false},
		{"pool", module + "/policy", true},
		{"pool", module + "/transport", false},
		{"transport", module + "/pool", false},
		{"transport", module + "/otel", true},
		{"transport", module + "/policy/config", false},
		{"transport", module + "/policy/redis", false},
		{"middleware", module + "/policy/redis", false},
		{"transport", engine, false},
		{"transport", module, false},
	}
	for _, c := range cases {
		require.Equalf(t, c.may, mayImport(module+"/"+c.from, c.path), "%s imports %s", c.from, c.path)
	}
}

// Who calls through the kit's transport does not build what it does not use.
func TestTransportIsBuiltWithoutClientsOfServers(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t) {
		if p.ImportPath != module+"/transport" {
			continue
		}
		for _, path := range p.Deps {
			require.NotContains(t, path, "redis")
		}
		require.NotEmpty(t, p.Deps)
		return
	}
	t.Fatal("no transport in the list")
}

func TestFilesHoldOneIdea(t *testing.T) {
	t.Parallel()
	const most = 400 // lines
	for _, p := range listPackages(t) {
		entries, err := os.ReadDir(p.Dir)
		require.NoError(t, err)
		for _, e := range entries {
			if e.IsDir() || !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
				continue
			}
			requireLines(t, filepath.Join(p.Dir, e.Name()), most)
		}
	}
	page, err := filepath.Glob("otel/console/*")
	require.NoError(t, err)
	require.NotEmpty(t, page)
	for _, file := range page {
		requireLines(t, file, most)
	}
}

func requireLines(t *testing.T, file string, most int) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.LessOrEqualf(t, bytes.Count(text, []byte("\n")), most, "lines of %s", file)
}

func mayImport(from, path string) bool {
	if standard, _, _ := strings.Cut(path, "/"); !strings.Contains(standard, ".") {
		return true
	}
	own := roomOf(from)
	if path == module || strings.HasPrefix(path, module+"/") {
		target := roomOf(path)
		return target.name == own.name || slices.Contains(own.may, target.name)
	}
	return slices.ContainsFunc(own.may, func(pattern string) bool { return matches(pattern, path) })
}

// roomOf a package of the module: the one with the longest name that is above it.
func roomOf(path string) room {
	var best room
	for _, r := range house {
		if len(r.name) > len(best.name) && matches(module+"/"+r.name+"/...", path) {
			best = r
		}
	}
	return best
}

func matches(pattern, path string) bool {
	above, all := strings.CutSuffix(pattern, "/...")
	return path == above || all && strings.HasPrefix(path, above+"/")
}

type listed struct {
	ImportPath string
	Dir        string
	Export     string
	Imports    []string
	Deps       []string
}

func listPackages(t *testing.T, flags ...string) []listed {
	t.Helper()
	args := slices.Concat([]string{"list", "-json=ImportPath,Dir,Export,Imports,Deps"}, flags, []string{"./..."})
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all = append(all, p)
	}
}
