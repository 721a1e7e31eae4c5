// Database makes calls of a PostgreSQL through [pool.Pool] and the policies,
// while its connections are terminated, it is restarted, its connections run out,
// its password is rotated, and COMMITs are cut off. It counts what callers were
// told, compares it with what the database has, and exits with 1 if a call was
// lost that could be repeated, or a commit was repeated that had happened.
//
//	apt-get install postgresql
//	go -C examples run ./database
//
// What to copy is in the folder postgres.
//
// # When to use something else
//
// Use pgxpool if PostgreSQL is all you pool and waiting for a connection is all
// that goes wrong: it is pgx's own, knows its types and COPY, listens to its
// hooks, and everybody knows it. [policy.Do] around it gives the same retries,
// breaker and limit; transient.go works with it as it is. Use database/sql, over
// pgx's stdlib, if your queries go through what is built on it (sqlc, GORM,
// migrations) or must run on other databases; beware that it repeats a statement
// by itself when the driver says ErrBadConn.
//
// A [pool.Pool] pays when connections are a part of what fails: creation that is
// tried again within the callers' time with pauses and a breaker, checks and
// closes that hang and hold nobody up, Retire when credentials rotate, and the
// same spans and metrics as for the HTTP beside it.
//
// None of them makes a commit of unknown fate known. Only a key in the database
// does.
package main
