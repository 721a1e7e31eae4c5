// Package middleware keeps a server answering as much as it can, whatever
// arrives.
package middleware
