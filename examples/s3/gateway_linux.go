package main

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
	"github.com/magnetar-go/magnetar/examples/internal/demo"
)

// gatewayProgram is the server, which Debian does not pack.
var gatewayProgram = daemon.Program{
	Name:     "versitygw",
	Variable: "VERSITYGW_BIN",
	Build: `Build it by
  go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
  export VERSITYGW_BIN=$(go env GOPATH)/bin/versitygw`,
}

// anyGateway is the one of the PATH where none is named.
func anyGateway() daemon.Program {
	p := gatewayProgram
	if _, err := exec.LookPath(p.Name); err == nil && os.Getenv(p.Variable) == "" {
		p.Variable = ""
	}
	return p
}

// served is a stage whose server ends with the test.
type served struct {
	*stage

	daemon *daemon.Daemon
}

func serve(t testing.TB, program daemon.Program) served {
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
	s.kill, s.restart = d.Kill, d.Restart
	return served{s, d}
}
