//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

func TestBadNamesAskNobody(t *testing.T) {
	files, err := OpenFiles(Server{Address: "127.0.0.1:1", Share: shareName}, one())
	require.NoError(t, err)
	defer closeFiles(files)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // whoever asks for more than the name is told so
	for _, name := range []string{
		"", ".", "/", "/f", `\f`, "..", "../f", "dir/../f", `dir\..\f`, "dir//f", "dir/", "./f",
		"f\x00g", "f\xff", "f.", "f ", "dir./f", `dir \f`, strings.Repeat("f", longestName+1),
	} {
		_, read := files.Read(ctx, name)
		for _, err := range []error{
			read, files.Write(ctx, name, nil), files.Append(ctx, name, nil), files.Remove(ctx, name),
			files.Rename(ctx, name, "f"), files.Rename(ctx, "f", name),
		} {
			require.ErrorIs(t, err, fs.ErrInvalid, "%.60q", name)
			require.True(t, policy.IsPermanent(err))
			require.Less(t, len(err.Error()), 200)
		}
		if name != "" && name != "." {
			_, err := files.List(ctx, name)
			require.ErrorIs(t, err, fs.ErrInvalid, "%.60q", name)
		}
	}
	for _, name := range []string{temporary + "f", "dir/" + temporary + "f", `dir\` + temporary} {
		require.ErrorIs(t, files.Write(ctx, name, nil), fs.ErrInvalid)
		require.ErrorIs(t, files.Rename(ctx, "f", name), fs.ErrInvalid)
	}
}

// A file of another name, which is what a server may understand, stays as it is.
func TestNamesThatAreTooLongAreNotCut(t *testing.T) {
	s, files := open(t)
	require.NoError(t, files.Write(t.Context(), "fff", []byte("data")))
	require.Error(t, files.Remove(t.Context(), strings.Repeat("f", 1<<15+len("fff"))))
	require.Error(t, files.Rename(t.Context(), "fff", "g\x00h"))
	require.Error(t, files.Write(t.Context(), "g\x00h", nil))
	requireThere(t, s, "fff")
}

// What is written beside its place has a longer name there than the one that was
// asked for. With its end cut off it would be that of a file that nobody named.
func TestWriteOfLongNameTouchesNoOtherFile(t *testing.T) {
	s, files := open(t)
	require.NoError(t, os.WriteFile(s.local("victim"), []byte("precious"), 0o600))
	for _, filler := range []string{"x", "ß", "€", "𝄞"} {
		for length := longestName - 40; length <= longestName+1; length++ {
			name := "victim/" + nameOf(filler, length-len("victim//a")) + "/a"
			require.Error(t, files.Write(t.Context(), name, []byte("data")))
		}
	}
	require.NoError(t, files.Close(t.Context()))
	requireThere(t, s, "victim")
	data, err := os.ReadFile(s.local("victim"))
	require.NoError(t, err)
	require.Equal(t, "precious", string(data))
}

// The longest names reach the server whole, and what is longer by one reaches nobody.
func TestLongestNamesAreWhole(t *testing.T) {
	s := startSmbd(t)
	require.NoError(t, os.WriteFile(s.local("f"), nil, 0o600))
	var mu sync.Mutex
	var heard []string // guarded by mu
	server := relay(t, s, func(p packet) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case p.renames():
			heard = append(heard, p.newName())
		case p.command() == smbCreate && p.name() != "": // the root
			heard = append(heard, p.name())
		}
	}, unseen)
	ask := func(what func(*Files) error) ([]string, error) {
		files, err := OpenFiles(server, one())
		require.NoError(t, err)
		err = what(files)
		closeFiles(files) // all that it leaves behind was removed then
		mu.Lock()
		defer mu.Unlock()
		names := heard
		heard = nil
		return names, err
	}
	ctx := t.Context()
	for _, filler := range []string{"x", "€", "𝄞"} {
		long, longer := nameOf(filler, longestName), nameOf(filler, longestName+1)
		for op, call := range map[string]func(f *Files, name string) error{
			"read":        func(f *Files, name string) error { _, err := f.Read(ctx, name); return err },
			"list":        func(f *Files, name string) error { _, err := f.List(ctx, name); return err },
			"append":      func(f *Files, name string) error { return f.Append(ctx, name, nil) },
			"remove":      func(f *Files, name string) error { return f.Remove(ctx, name) },
			"rename from": func(f *Files, name string) error { return f.Rename(ctx, name, "g") },
			"rename to":   func(f *Files, name string) error { return f.Rename(ctx, "f", name) },
		} {
			names, err := ask(func(f *Files) error { return call(f, long) })
			require.Error(t, err, op)
			require.Contains(t, names, long, op)
			names, err = ask(func(f *Files) error { return call(f, longer) })
			require.ErrorIs(t, err, fs.ErrInvalid, op)
			require.Empty(t, names, op)
		}
		in := longestName - len("/"+temporary+rand.Text())
		names, err := ask(func(f *Files) error { return f.Write(ctx, nameOf(filler, in)+"/f", nil) })
		require.Error(t, err)
		require.NotEmpty(t, names)
		for _, name := range names {
			require.Equal(t, longestName, units(name))
		}
		names, err = ask(func(f *Files) error { return f.Write(ctx, nameOf(filler, in+1)+"/f", nil) })
		require.ErrorIs(t, err, fs.ErrInvalid)
		require.Empty(t, names)
	}
	requireThere(t, s, "f")
}

// nameOf is a name that is so long for SMB.
func nameOf(filler string, length int) string {
	n := units(filler)
	return strings.Repeat("x", length%n) + strings.Repeat(filler, length/n)
}

// units is how long SMB has a name.
func units(name string) int { return len(utf16.Encode([]rune(name))) }

// What is not complete yet is beside what it is to be, however that is written.
func TestIncompleteFileIsBesideItsPlace(t *testing.T) {
	for name, dir := range map[string]string{"f": "", "dir/f": "dir/", `dir\sub/f`: "dir/sub/"} {
		temp := beside(name)
		require.Regexp(t, "^"+dir+`\.incomplete-[A-Z2-7]{26}$`, temp)
		require.NotEqual(t, temp, beside(name))
	}
	s, files := open(t)
	require.NoError(t, os.Mkdir(s.local("dir"), 0o700))
	require.NoError(t, files.Write(t.Context(), `dir\f`, []byte("data")))
	data, err := files.Read(t.Context(), "dir/f")
	require.NoError(t, err)
	require.Equal(t, "data", string(data))
	// What a program that died has left may be read and removed.
	require.NoError(t, os.WriteFile(s.local("dir/"+temporary+"f"), []byte("half"), 0o600))
	data, err = files.Read(t.Context(), "dir/"+temporary+"f")
	require.NoError(t, err)
	require.Equal(t, "half", string(data))
	require.NoError(t, files.Remove(t.Context(), "dir/"+temporary+"f"))
}
