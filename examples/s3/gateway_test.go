//go:build linux

package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/magnetar-go/magnetar/examples/s3/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// through is a client whose calls pass the proxy.
func (s served) through(t *testing.T) *client {
	t.Helper()
	c, err := s.client(s.proxy.url, store.Chain())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}
