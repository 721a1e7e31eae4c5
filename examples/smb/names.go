package main

import (
	"crypto/rand"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode/utf16"

	"github.com/magnetar-go/magnetar/policy"
)

// temporary is how the names of files begin that are not complete yet.
const temporary = ".incomplete-"

// longestName is in UTF-16, in which SMB has names. go-smb2 has 16 bits for how many
// bytes that is, and asks for another file when a name is longer: one with the end
// of the name cut off.
const longestName = (1<<16 - 1) / 2

// fileName says what is wrong with the name of a file, before a server is asked
// who may understand another name: Samba takes what is before a NUL. Names are
// those of io/fs, and may have SMB's own separator, too. Errors match
// [fs.ErrInvalid].
func fileName(op, name string) error {
	slashed := strings.ReplaceAll(name, `\`, "/")
	switch {
	case !fits(name):
		return badName(op, brief(name), fmt.Sprintf("longer than %d in UTF-16", longestName))
	case strings.Contains(name, "\x00"):
		return badName(op, name, "with a NUL")
	case !fs.ValidPath(slashed):
		return badName(op, name, "not a path as io/fs has them")
	case slashed == ".":
		return badName(op, name, "the share's root is no file")
	case cutOff(slashed):
		return badName(op, brief(name), "ends with a dot or a space")
	}
	return nil
}

// cutOff reports whether a part of a valid path ends with what Windows takes off:
// there it is the name of another file.
func cutOff(slashed string) bool {
	for part := range strings.SplitSeq(slashed, "/") {
		if strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") {
			return true
		}
	}
	return false
}

// newName is [fileName] for a file that gets this name: those that begin like what
// is not complete yet are kept for that. They may be read and removed, as what is
// left of a program that died.
func newName(op, name string) error {
	if isTemporary(path.Base(strings.ReplaceAll(name, `\`, "/"))) {
		return badName(op, brief(name), "begins with "+temporary)
	}
	return fileName(op, name)
}

// writtenName is [newName] for a file that is written beside its place first, under
// a name that may be longer.
func writtenName(op, name string) error {
	if err := newName(op, name); err != nil {
		return err
	}
	if !fits(beside(name)) {
		return badName(op, brief(name), fmt.Sprintf("longer than %d in UTF-16 while it is not complete", longestName))
	}
	return nil
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

// fits reports whether a server gets all of a name.
func fits(name string) bool {
	length := 0
	for _, r := range name {
		length += utf16.RuneLen(r)
	}
	return length <= longestName
}

// brief is enough of a name for an error.
func brief(name string) string {
	if len(name) <= 64 {
		return name
	}
	return strings.ToValidUTF8(name[:64], "") + "…"
}

// beside is a name, one that nobody has, for what is to become a file of a name. They
// are all of one length.
func beside(name string) string {
	return path.Join(path.Dir(strings.ReplaceAll(name, `\`, "/")), temporary+rand.Text())
}

func isTemporary(name string) bool { return strings.HasPrefix(name, temporary) }
