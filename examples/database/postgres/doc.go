// Package postgres is PostgreSQL behind a [pool.Pool] and the policies: four
// files to copy. open.go makes the pool, session.go its connections, transient.go
// knows what an SQLSTATE says about another try, and tx.go repeats what may be
// repeated:
//
//	Get     a read, whenever the server or the connection was the trouble
//	Do      a transaction that was surely not committed
//	DoOnce  a transaction of any fate: a key in the database tells if it happened
//
// A commit that got no answer may have happened. Do does not repeat it but
// returns a [*CommitUnknownError]; DB.Fate asks the server what became of it, for
// which PostgreSQL 13 is the oldest.
//
// There is no helper for a single write outside of a transaction: it would be
// its own commit, and one that meets a dead connection would be of unknown fate,
// where BEGIN finds out at no risk.
package postgres
