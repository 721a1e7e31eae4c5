// Package waterfall draws the spans of a trace as an SVG: a tree of names on the
// left, a bar in time for each, how long it lasted, and what it tells. The
// drawing needs nothing but itself, holds no scripts, and is the same for the
// same spans: no IDs and no absolute times are in it.
package waterfall
