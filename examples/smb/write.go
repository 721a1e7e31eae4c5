package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"

	"github.com/cloudsoda/go-smb2"

	"github.com/magnetar-go/magnetar/policy"
)

// temporary is how the names of files begin that are not complete yet.
const temporary = ".incomplete-"

// UnknownError is of a change of which nobody knows whether it was made: the
// server was asked for it, and has not answered. It is for the caller to look.
type UnknownError struct {
	Op, Name string
	Err      error
}

// Error says what was asked for.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("%s %s: it may or may not have been done: %v", e.Op, e.Name, e.Err)
}

// Unwrap returns why there was no answer.
func (e *UnknownError) Unwrap() error { return e.Err }

// Write makes data all that is in a file. Who reads it sees what was there before
// or all of data: it is written beside, and then takes the name. That is why it
// may be repeated, for a file that nobody else writes at the same time.
func (f *Files) Write(ctx context.Context, name string, data []byte) error {
	var before []*attempt
	_, err := call(ctx, f, func(ctx context.Context) (none struct{}, err error) {
		return none, f.lend(ctx, func(share *smb2.Share) error {
			if err := forget(share, before); err != nil {
				return err
			}
			this := &attempt{temp: path.Join(path.Dir(name), temporary+rand.Text())}
			before = append(before, this)
			if err := share.WriteFile(this.temp, data, 0o644); err != nil {
				return err
			}
			err := share.Rename(this.temp, name)
			this.unanswered = !told(err)
			return err
		})
	})
	if err != nil && slices.ContainsFunc(before, func(a *attempt) bool { return a.unanswered }) {
		return &UnknownError{"write", name, err}
	}
	return err
}

// attempt is a try to write.
type attempt struct {
	temp       string
	unanswered bool // it asked for temp to be renamed, and got no answer
}

// forget removes what earlier tries have left behind. A rename that a slow server
// still has in hand finds nothing to rename then, so that it cannot undo what is
// written later. Where none was asked for it does not matter if something stays,
// such as what a server holds open for a session that it does not know to be gone.
func forget(share *smb2.Share, before []*attempt) error {
	for _, a := range before {
		err := share.Remove(a.temp)
		if a.unanswered && err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Append adds data to a file that exists. It is not repeated once data was sent:
// without an answer the error is an [*UnknownError]. What is longer than 1 MiB is
// sent in parts, the first of which may be there after any error.
func (f *Files) Append(ctx context.Context, name string, data []byte) error {
	return f.once(ctx, "append", name, func(share *smb2.Share, sent func()) error {
		file, err := share.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return err
		}
		sent()
		return appended(file, data)
	})
}

// appended writes to a file and closes it. What the server answered to the write
// is what counts: a close that fails takes nothing back, and who is told of one
// would append again.
func appended(file io.WriteCloser, data []byte) error {
	_, err := file.Write(data)
	_ = file.Close()
	return err
}

// Rename gives a file another name, in place of what had that name. It is not
// repeated once it was asked for: the second time there would be nothing to
// rename. Without an answer the error is an [*UnknownError].
func (f *Files) Rename(ctx context.Context, from, to string) error {
	return f.once(ctx, "rename", from, func(share *smb2.Share, sent func()) error {
		if _, err := share.Stat(from); err != nil { // finds out about a session that is gone, too
			return err
		}
		sent()
		return share.Rename(from, to)
	})
}

// once tries what may not be repeated after it called sent.
func (f *Files) once(ctx context.Context, op, name string, try func(share *smb2.Share, sent func()) error) error {
	_, err := call(ctx, f, func(ctx context.Context) (none struct{}, err error) {
		sent := false
		err = f.lend(ctx, func(share *smb2.Share) error {
			return try(share, func() { sent = true })
		})
		if sent && err != nil && !told(err) {
			err = &UnknownError{op, name, err}
		}
		if sent {
			err = policy.Permanent(err)
		}
		return none, err
	})
	return err
}
