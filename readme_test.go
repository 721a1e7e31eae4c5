package magnetar_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the README shows is what the tests run, so that it cannot rot.
func TestReadmeShowsExamples(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	require.Empty(t, readmeFaults(string(readme), os.ReadFile))
}

func TestReadmeThatRotsIsFound(t *testing.T) {
	t.Parallel()
	read := func(string) ([]byte, error) {
		return []byte("package p\n\nfunc Example() {\n\tif ok() {\n\t\trun() // now\n\t}\n\n\t// Output:\n\t// done\n}\n"), nil
	}
	const marker = "<!-- example: p/example_test.go Example -->\n"
	cases := map[string]struct {
		readme string
		faults []string
	}{
		"the same":         {marker + "```go\nif ok() {\n\trun() // now\n}\n```\n", nil},
		"blank line":       {marker + "\n```go\nif ok() {\n\trun() // now\n}\n```\n", nil},
		"other format":     {marker + "```go\nif ok() {\n    run() // now\n}\n```\n", nil},
		"other code":       {marker + "```go\nrun()\n```\n", []string{"line 2: differs from Example in p/example_test.go"}},
		"no marker":        {"Run it:\n```go\nrun()\n```\n", []string{"line 2: no <!-- example: file name --> before the block"}},
		"marker elsewhere": {marker + "Run it:\n```go\nrun()\n```\n", []string{"line 3: no <!-- example: file name --> before the block"}},
		"no such function": {"<!-- example: p/example_test.go ExampleGone -->\n```go\nrun()\n```\n", []string{"line 2: no ExampleGone in p/example_test.go"}},
		"no code at all":   {"# p\n\n```bash\ngo test\n```\n", []string{"no block of Go code"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.faults, readmeFaults(c.readme, read))
		})
	}
}

var (
	block  = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	marker = regexp.MustCompile(`<!-- example: (\S+) (Example\w*) -->\s*$`)
	output = regexp.MustCompile(`(?im)^\s*//\s*(unordered )?output:`)
)

func readmeFaults(readme string, read func(string) ([]byte, error)) []string {
	blocks := block.FindAllStringSubmatchIndex(readme, -1)
	if len(blocks) == 0 {
		return []string{"no block of Go code"}
	}
	var faults []string
	for _, b := range blocks {
		before, code := readme[:b[0]], readme[b[2]:b[3]]
		if err := compare(before, code, read); err != nil {
			faults = append(faults, fmt.Sprintf("line %d: %v", strings.Count(before, "\n")+1, err))
		}
	}
	return faults
}

func compare(before, code string, read func(string) ([]byte, error)) error {
	m := marker.FindStringSubmatch(before)
	if m == nil {
		return errors.New("no <!-- example: file name --> before the block")
	}
	file, name := m[1], m[2]
	source, err := read(file)
	if err != nil {
		return err
	}
	body, err := bodyOf(source, name)
	if err != nil {
		return fmt.Errorf("%w in %s", err, file)
	}
	want, err := formatted(body)
	if err != nil {
		return err
	}
	got, err := formatted(code)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("differs from %s in %s", name, file)
	}
	return nil
}

// formatted formats statements as a function's, whatever their indentation.
func formatted(statements string) (string, error) {
	text, err := format.Source([]byte("package p\n\nfunc _() {\n" + strings.TrimSpace(statements) + "\n}\n"))
	return string(text), err
}

// bodyOf returns the statements of a function, up to what they should print.
func bodyOf(source []byte, name string) (string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "", source, parser.SkipObjectResolution)
	if err != nil {
		return "", err
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == name {
			body := string(source[f.Body.Lbrace-file.FileStart+1 : f.Body.Rbrace-file.FileStart])
			if at := output.FindStringIndex(body); at != nil {
				body = body[:at[0]]
			}
			return body, nil
		}
	}
	return "", fmt.Errorf("no %s", name)
}
