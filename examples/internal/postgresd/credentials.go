//go:build linux

package postgresd

import (
	"context"
	"net/url"
	"sync"
)

// Credentials have a password that changes.
type Credentials struct {
	Name string

	mu sync.Mutex
	// Guarded by mu:
	password string
}

// Ask returns the password, and no error; it is what asks for one anew for each
// connection.
func (c *Credentials) Ask(context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.password, nil
}

// Rotate changes what Ask returns, but nothing in the server.
func (c *Credentials) Rotate(password string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.password = password
}

// Userinfo is for URLs.
func (c *Credentials) Userinfo() *url.Userinfo {
	password, _ := c.Ask(context.Background())
	return url.UserPassword(c.Name, password)
}
