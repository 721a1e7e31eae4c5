package waterfall

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// fit cuts s to what there is room for, at so much for a character.
func fit(s string, room, char float64) string {
	s = strings.Map(visible, s)
	if float64(cells(s))*char <= room {
		return s
	}
	var b strings.Builder
	used := 1 // for the ellipsis
	for _, r := range s {
		used += cellsOf(r)
		if float64(used)*char > room {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimRight(b.String(), " ") + "…"
}

func textWidth(s string) float64 { return float64(cells(s)) * charWidth }

// cells is how many places of a monospaced font s takes.
func cells(s string) int {
	n := 0
	for _, r := range s {
		n += cellsOf(r)
	}
	return n
}

// cellsOf takes all that is beyond the scripts of single width for double.
func cellsOf(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r >= 0x1100 && (r < 0x2000 || r >= 0x2e80):
		return 2
	}
	return 1
}

// visible replaces what nobody would see.
func visible(r rune) rune {
	if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) || r == utf8.RuneError {
		return utf8.RuneError
	}
	return r
}
