// Package outlier tells which endpoints do worse than the others, how many may
// be ejected, and for how long. It knows no clock.
package outlier
