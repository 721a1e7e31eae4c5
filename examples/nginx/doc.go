// Package nginx has nginx, as Debian packs it, behind a [pool.Transport] and the
// chain: it is reloaded under load, closes connections after a hundred requests
// and after two seconds without one, and no request that may be repeated fails.
//
//	apt-get install nginx
//	go -C examples test -v ./nginx
package nginx
