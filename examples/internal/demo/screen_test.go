package demo

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBlockIsWrittenOverTheOneBefore(t *testing.T) {
	var out strings.Builder
	s := screen{w: &out}
	s.show("a\nb\nc")
	s.show("d")
	s.erase()
	require.Equal(t, "\r\x1b[Ja\nb\nc\x1b[2A\r\x1b[Jd\r\x1b[J", out.String())
}
