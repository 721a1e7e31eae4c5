// Package daemon runs real servers for tests: databases, proxies, file servers,
// as Debian packs them.
package daemon
