package main

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/magnetar-go/magnetar/policy"
)

// temporary is how the names of files begin that are not complete yet.
const temporary = ".incomplete-"

// longestName is in bytes. go-smb2 has 16 bits for a name's length in UTF-16, and
// asks for another file when it is longer, one with the end of the name cut off.
const longestName = 1<<15 - 1

// fileName says what is wrong with the name of a file, before a server is asked
// who may understand another name: Samba takes what is before a NUL. Names are
// those of io/fs, and may have SMB's own separator, too. Errors match
// [fs.ErrInvalid].
func fileName(op, name string) error {
	slashed := strings.ReplaceAll(name, `\`, "/")
	switch {
	case len(name) > longestName:
		return badName(op, strings.ToValidUTF8(name[:64], "")+"…", fmt.Sprintf("longer than %d bytes", longestName))
	case strings.Contains(name, "\x00"):
		return badName(op, name, "with a NUL")
	case !fs.ValidPath(slashed):
		return badName(op, name, "not a path as io/fs has them")
	case slashed == ".":
		return badName(op, name, "the share's root is no file")
	}
	return nil
}

// newName is [fileName] for a file that gets this name: those that begin like what
// is not complete yet are kept for that. They may be read and removed, as what is
// left of a program that died.
func newName(op, name string) error {
	if isTemporary(path.Base(strings.ReplaceAll(name, `\`, "/"))) {
		return badName(op, name, "begins with "+temporary)
	}
	return fileName(op, name)
}

// dirName is [fileName] for a directory.
func dirName(op, name string) error {
	if name == "" || name == "." {
		return nil
	}
	return fileName(op, name)
}

func badName(op, name, why string) error {
	return policy.Permanent(&fs.PathError{Op: op, Path: name, Err: fmt.Errorf("%w: %s", fs.ErrInvalid, why)})
}

// beside is a name for what is to become a file of a name.
func beside(name, unique string) string {
	return path.Join(path.Dir(strings.ReplaceAll(name, `\`, "/")), temporary+unique)
}

func isTemporary(name string) bool { return strings.HasPrefix(name, temporary) }
