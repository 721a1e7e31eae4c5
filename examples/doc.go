// Package examples is the root of a module that shows and measures the kit, so
// that what it needs for that is no dependency of the kit.
package examples
