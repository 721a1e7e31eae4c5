package config

import (
	"errors"
	"fmt"
)

// unknown is the fault of a name that nobody knows, with the known name that it
// was probably meant to be; prefix stands before all of them.
func unknown(what, prefix, name string, known []string) error {
	if near := nearest(name, known); near != "" {
		return fmt.Errorf("unknown %s; did you mean %q?", what, prefix+near)
	}
	return errors.New("unknown " + what)
}

// nearest returns the name with the least edit distance, or "" when none has
// more in common with name than not.
func nearest(name string, known []string) string {
	best, least := "", len(name)/2+1
	for _, k := range known {
		if d := distance(name, k, least); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is Levenshtein's, or bound when it is not less.
func distance(a, b string, bound int) int {
	if len(a)-len(b) >= bound || len(b)-len(a) >= bound {
		return bound
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			if a[i] == b[j] {
				row[j+1] = diagonal
			} else {
				row[j+1] = 1 + min(diagonal, above, row[j])
			}
			diagonal = above
		}
	}
	return row[len(b)]
}
