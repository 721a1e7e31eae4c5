package main

import (
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// answers are those to a write and to a close.
type answers struct{ write, close error }

func (a answers) Write(data []byte) (int, error) { return len(data), a.write }
func (a answers) Close() error                   { return a.close }

// An append is what was answered to its write, whatever became of the close.
func TestAppendIsJudgedByItsWrite(t *testing.T) {
	require.NoError(t, appended(answers{close: os.ErrPermission}, nil))
	err := appended(answers{io.ErrUnexpectedEOF, os.ErrPermission}, nil)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.False(t, told(err), "it is not known")
}
