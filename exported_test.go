package magnetar_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The engine is before its version 1, and the kit's users must survive its
// changes.
func TestNoExportedIdentifierNamesATypeOfTheEngine(t *testing.T) {
	t.Parallel()
	imports := importerOf(t)
	for _, p := range listPackages(t) {
		pkg, err := imports.Import(p.ImportPath)
		require.NoError(t, err)
		require.Empty(t, namesOfEngine(pkg))
	}
}

func TestNamesOfTheEngineAreFound(t *testing.T) {
	t.Parallel()
	const source = `package p

import cb "` + engine + `/circuitbreaker"

type (
	breaker  = cb.CircuitBreaker[any]
	hidden   struct{ engine breaker }
	embedded struct{ *wrapper }
	wrapper  struct{}
)

func (wrapper) Engine() breaker { return nil }

func New() (cb.CircuitBreaker[any], error) { return nil, nil }

func Take(map[string][]func(...cb.State)) {}

func (hidden) Method(breaker) {}

func Hidden() *hidden { return nil }

var Inferred = cb.NewWithDefaults[any]()

type Alias = cb.State

type Field struct{ Engine breaker }

type Private struct{ engine breaker }

type Promoted struct{ embedded }

type Interface interface{ Engine() breaker }

type Bound[T cb.State] struct{}

type Fine struct{ Private }

func (Fine) private(breaker) {}

func private() breaker { return nil }
`
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "p.go", source, 0)
	require.NoError(t, err)
	conf := types.Config{Importer: importerOf(t)}
	pkg, err := conf.Check(module+"/p", fset, []*ast.File{file}, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"p.Alias", "p.Bound", "p.Field", "p.Hidden", "p.Inferred", "p.Interface", "p.New", "p.Promoted", "p.Take"},
		namesOfEngine(pkg))
}

// importerOf reads what the compiler exported.
func importerOf(t *testing.T) types.Importer {
	t.Helper()
	exports := map[string]string{}
	for _, p := range listPackages(t, "-export", "-deps") {
		exports[p.ImportPath] = p.Export
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
}

// namesOfEngine lists the exported identifiers of pkg through which a type of
// the engine can be reached.
func namesOfEngine(pkg *types.Package) []string {
	var found []string
	for _, name := range pkg.Scope().Names() {
		obj := pkg.Scope().Lookup(name)
		if obj.Exported() && (surface{}).reaches(obj.Type()) {
			found = append(found, pkg.Name()+"."+name)
		}
	}
	return found
}

// surface walks what can be seen of types, each once.
type surface map[types.Type]bool

func (s surface) reaches(t types.Type) bool {
	if s[t] {
		return false
	}
	s[t] = true
	switch t := t.(type) {
	case *types.Alias:
		return ofEngine(t.Obj()) || s.reaches(types.Unalias(t))
	case *types.Named:
		return s.reachesNamed(t)
	case *types.TypeParam:
		return s.reaches(t.Constraint())
	case *types.Signature:
		return s.reaches(t.Params()) || s.reaches(t.Results())
	case *types.Tuple:
		for v := range t.Variables() {
			if s.reaches(v.Type()) {
				return true
			}
		}
	case *types.Struct:
		for f := range t.Fields() {
			if (f.Exported() || f.Embedded()) && s.reaches(f.Type()) {
				return true
			}
		}
	case *types.Interface:
		for e := range t.EmbeddedTypes() {
			if s.reaches(e) {
				return true
			}
		}
		return s.reachesMethods(t)
	case *types.Union:
		for term := range t.Terms() {
			if s.reaches(term.Type()) {
				return true
			}
		}
	case *types.Map:
		return s.reaches(t.Key()) || s.reaches(t.Elem())
	case interface{ Elem() types.Type }: // pointers, slices, arrays, channels
		return s.reaches(t.Elem())
	}
	return false
}

func (s surface) reachesNamed(t *types.Named) bool {
	if ofEngine(t.Obj()) {
		return true
	}
	for arg := range t.TypeArgs().Types() {
		if s.reaches(arg) {
			return true
		}
	}
	for param := range t.TypeParams().TypeParams() {
		if s.reaches(param) {
			return true
		}
	}
	if t.Obj().Pkg() == nil || !strings.HasPrefix(t.Obj().Pkg().Path(), module) {
		return false // what is not ours knows nothing of the engine
	}
	return s.reaches(t.Underlying()) || s.reachesMethods(types.NewPointer(t))
}

func (s surface) reachesMethods(t types.Type) bool {
	for m := range types.NewMethodSet(t).Methods() {
		if m.Obj().Exported() && s.reaches(m.Type()) {
			return true
		}
	}
	return false
}

func ofEngine(obj types.Object) bool {
	return obj.Pkg() != nil && matches(engine+"/...", obj.Pkg().Path())
}
