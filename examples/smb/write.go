package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/cloudsoda/go-smb2"

	"github.com/magnetar-go/magnetar/policy"
)

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
//
// What tries leave behind is removed by the next one, and after the last one in
// the background, for which Write does not wait and which has 5 s. It stays there
// if the server does not answer so long, or if this program ends before.
func (f *Files) Write(ctx context.Context, name string, data []byte) error {
	if err := writtenName("write", name); err != nil {
		return err
	}
	if !f.litter.begin() {
		return &os.PathError{Op: "write", Path: name, Err: policy.ErrClosed}
	}
	var left []attempt
	defer func() { f.litter.end(left) }()
	unanswered := 0
	_, err := call(ctx, f, func(ctx context.Context) (none struct{}, err error) {
		return none, f.lend(ctx, func(share *smb2.Share) (err error) {
			// What a server holds open for a session that it does not know to be gone
			// may stay, but not what could still take the name of what is written now.
			left, err = forget(share, left)
			if slices.ContainsFunc(left, func(a attempt) bool { return a.renaming }) {
				return err
			}
			left = append(left, attempt{temp: beside(name)})
			this := &left[len(left)-1]
			if err := trusting(func() error { return share.WriteFile(this.temp, data, 0o644) }); err != nil {
				return err
			}
			this.renaming = true
			unanswered++
			err = share.Rename(this.temp, name)
			if err == nil || told(err) {
				this.renaming = false
				unanswered--
			}
			if err == nil {
				left = left[:len(left)-1]
			}
			return err
		})
	})
	if err != nil && unanswered > 0 {
		return &UnknownError{"write", name, err}
	}
	return err
}

// Append adds data to a file that exists. It is not repeated once data was sent:
// without an answer the error is an [*UnknownError]. What is longer than 1 MiB is
// sent in parts, the first of which may be there after any error.
//
// SMB has a client find the end of a file and write there. So tries to append come
// one after the other, for all files, and when 1000 wait the next call fails with
// [policy.ErrSaturated]; but those of another program, and one of unknown fate that a
// slow server still has in hand, may be written over each other.
func (f *Files) Append(ctx context.Context, name string, data []byte) error {
	if err := fileName("append", name); err != nil {
		return err
	}
	return f.once(ctx, "append", name, f.lendInTurn, func(share *smb2.Share, sent func()) error {
		file, err := share.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return err
		}
		// OpenFile has looked for the end, but does not tell whether it was found.
		if _, err := file.Seek(0, io.SeekEnd); err != nil {
			return errors.Join(err, file.Close())
		}
		sent()
		return appended(file, data)
	})
}

// appended writes to a file and closes it. What the server answered to the write
// is what counts: a close that fails takes nothing back, and who is told of one
// would append again.
func appended(file io.WriteCloser, data []byte) error {
	err := trusting(func() error {
		_, err := file.Write(data)
		return err
	})
	_ = file.Close()
	return err
}

// Rename gives a file another name, in place of what had that name. It is repeated
// once it was asked for only if the server has refused it, since somebody has the
// file open: else there might be nothing to rename the second time. Without an
// answer the error is an [*UnknownError].
func (f *Files) Rename(ctx context.Context, from, to string) error {
	if err := errors.Join(fileName("rename", from), newName("rename", to)); err != nil {
		return err
	}
	return f.once(ctx, "rename", from, f.lend, func(share *smb2.Share, sent func()) error {
		if _, err := share.Stat(from); err != nil { // finds out about a session that is gone, too
			return err
		}
		err := share.Rename(from, to)
		if !answered(err, unopened) {
			sent()
		}
		return err
	})
}

// once tries, with a share that it is lent, what may not be repeated once it has
// called sent.
func (f *Files) once(ctx context.Context, op, name string,
	lend func(context.Context, func(*smb2.Share) error) error, try func(share *smb2.Share, sent func()) error,
) error {
	_, err := call(ctx, f, func(ctx context.Context) (none struct{}, err error) {
		sent := false
		err = lend(ctx, func(share *smb2.Share) error {
			return try(share, func() { sent = true })
		})
		switch {
		case !sent:
		case err != nil && !told(err):
			err = policy.Permanent(&UnknownError{op, name, err})
		default:
			err = policy.Permanent(err)
		}
		return none, err
	})
	return err
}
