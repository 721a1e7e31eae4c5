package generation

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Pool trap 21: an http.ClientConn whose Err is nil may be unusable all the same,
// after GOAWAY. None is used; whoever brings one in must pick by Reserve alone.
func TestPoolTrap21NoClientConnIsUsed(t *testing.T) {
	for _, dir := range []string{".", "../.."} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			require.NoError(t, err)
			ast.Inspect(parsed, func(n ast.Node) bool {
				if used, ok := n.(*ast.SelectorExpr); ok {
					require.NotContains(t, used.Sel.Name, "ClientConn", file)
				}
				return true
			})
		}
	}
}
