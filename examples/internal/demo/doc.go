// Package demo is what the programs that show something have in common: a server
// on loopback, lines that change on a terminal, and figures.
package demo
