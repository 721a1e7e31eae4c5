// Package redisd runs Debian's redis-server for the tests and programs of the
// examples.
package redisd
