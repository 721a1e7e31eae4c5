//go:build linux

package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
	"github.com/magnetar-go/magnetar/examples/internal/demo"
	"github.com/magnetar-go/magnetar/examples/s3/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var program = daemon.Program{Name: gatewayName, Variable: gatewayVariable, Build: gatewayBuild}

// served is a stage whose server ends with the test.
type served struct {
	*stage

	daemon *daemon.Daemon
}

func serve(t *testing.T) served {
	t.Helper()
	cert, roots, err := demo.SelfSigned("127.0.0.1")
	require.NoError(t, err)
	d := daemon.New(t, program)
	certificate, key, err := encode(cert)
	require.NoError(t, err)
	d.File(certificateFile, certificate)
	d.File(keyFile, key)
	d.Run("mkdir", "objects", "metadata")
	d.Start(gatewayArguments(d.Address(), d.Dir)...)
	s, err := newStage(t.Context(), "https://"+d.Address(), cert, roots)
	require.NoError(t, err)
	t.Cleanup(s.proxy.Close)
	s.kill = d.Kill
	s.restart = func() error {
		d.Restart()
		return nil
	}
	return served{s, d}
}

// through is a client whose calls pass the proxy.
func (s served) through(t *testing.T) *client {
	t.Helper()
	c, err := s.client(s.proxy.url, store.Chain())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}
