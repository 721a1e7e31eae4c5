//go:build race

package medicine

const raceEnabled = true
