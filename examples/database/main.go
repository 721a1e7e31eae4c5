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
// Use pgxpool if PostgreSQL is all that you pool. It is pgx's own, has lifetimes
// and checks too, hooks for each connection, and everybody knows it; [policy.Do]
// around it gives the same retries, breaker and limit, with transient.go and
// tx.go hardly changed. Its Acquire returns the error of a connection that could
// not be made at once, so an outage of a second is the retry's matter there.
//
// Use database/sql, over pgx's stdlib, if your queries go through what is built
// on it, such as sqlc, an ORM or migrations, or are to run on other databases. By
// itself it repeats only what its driver knows was not sent.
//
// A [pool.Pool] pays when connections are a part of what fails: making them is
// tried again within the callers' time, with pauses and a breaker; checks and
// closes that hang hold nobody up; Retire leaves those with the old password; and
// spans and metrics are those of the HTTP beside it.
//
// None of them makes a commit of unknown fate known. Only a key in the database
// does.
package main
