// Package postgresd runs a PostgreSQL, and a bad network before it, for the tests
// and programs of the examples.
package postgresd
