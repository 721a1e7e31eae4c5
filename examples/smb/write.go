package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"

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
	var unsettled []string // temporaries of tries that have failed
	asked := false
	_, err := call(ctx, f, func(ctx context.Context) (none struct{}, err error) {
		temp := path.Join(path.Dir(name), temporary+rand.Text())
		return none, f.lend(ctx, func(share *smb2.Share) error {
			if err := forget(share, unsettled); err != nil {
				return err
			}
			unsettled = append(unsettled, temp)
			if err := share.WriteFile(temp, data, 0o644); err != nil {
				return err
			}
			err := share.Rename(temp, name)
			asked = asked || !told(err)
			return err
		})
	})
	if err != nil && asked {
		return &UnknownError{"write", name, err}
	}
	return err
}

// forget removes what earlier tries have left behind. Once that is gone, a rename
// that a slow server still has in hand finds nothing to rename, so that it cannot
// undo what is written later.
func forget(share *smb2.Share, temps []string) error {
	for _, temp := range temps {
		if err := share.Remove(temp); err != nil && !errors.Is(err, os.ErrNotExist) {
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
		_, err = file.Write(data)
		return errors.Join(err, file.Close())
	})
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

// once tries what may not be repeated after it called sent. That is looked at
// here, outside of what makes a timeout of the error, and with it loses its mark.
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
