//go:build !race

package generation

const raceEnabled = false
