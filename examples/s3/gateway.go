package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// How to get the server, which Debian does not pack.
const (
	gatewayName     = "versitygw"
	gatewayVariable = "VERSITYGW_BIN"
	gatewayBuild    = `Build it by
  go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
  export VERSITYGW_BIN=$(go env GOPATH)/bin/versitygw`
)

// The server's only user.
const (
	accessKey = "magnetar"
	secretKey = "not-a-secret"
	region    = "us-east-1"
)

// gatewayArguments have it keep objects as files under a directory, which must
// have the directories objects and metadata.
func gatewayArguments(address, dir string) []string {
	return []string{
		"--port", address, "--access", accessKey, "--secret", secretKey, "--region", region, "--keep-alive", "--quiet",
		"--cert", filepath.Join(dir, certificateFile), "--key", filepath.Join(dir, keyFile),
		"posix", "--sidecar", filepath.Join(dir, "metadata"), filepath.Join(dir, "objects"),
	}
}

// gateway is a versitygw that the program has started itself.
type gateway struct {
	binary, dir, address string

	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has
}

// newGateway finds the binary and starts it, in a directory of its own.
func newGateway(cert tls.Certificate) (*gateway, error) {
	binary, err := findGateway()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", gatewayName+"-")
	if err != nil {
		return nil, err
	}
	g := &gateway{binary: binary, dir: dir}
	err = g.prepare(cert)
	if err == nil {
		err = g.start()
	}
	if err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

func findGateway() (string, error) {
	name := gatewayName
	if named := os.Getenv(gatewayVariable); named != "" {
		name = named
	}
	binary, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w\nThis needs a %s, named by %s or in the PATH. %s", err, gatewayName, gatewayVariable, gatewayBuild)
	}
	return binary, nil
}

func (g *gateway) prepare(cert tls.Certificate) error {
	for _, name := range []string{"objects", "metadata"} {
		if err := os.Mkdir(filepath.Join(g.dir, name), 0o700); err != nil {
			return err
		}
	}
	certificate, key, err := encode(cert)
	if err != nil {
		return err
	}
	for name, content := range map[string]string{certificateFile: certificate, keyFile: key} {
		if err := os.WriteFile(filepath.Join(g.dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	if err != nil {
		return err
	}
	g.address = l.Addr().String()
	return l.Close()
}

var errEnded = errors.New(gatewayName + " ended before it answered")

// start returns when it answers.
func (g *gateway) start() error {
	var log bytes.Buffer
	cmd := exec.Command(g.binary, gatewayArguments(g.address, g.dir)...) //nolint:gosec,noctx // the user's; it ends with kill
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // what it ended with is in its log
	}()
	g.cmd, g.ended = cmd, ended
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", g.address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		case <-ended:
			g.cmd = nil
			return fmt.Errorf("%w: %s", errEnded, &log)
		}
	}
}

// kill ends it without a word.
func (g *gateway) kill() {
	if g.cmd == nil {
		return
	}
	_ = g.cmd.Process.Kill()
	<-g.ended
	g.cmd = nil
}

func (g *gateway) close() {
	g.kill()
	_ = os.RemoveAll(g.dir)
}

const (
	certificateFile = "certificate.pem"
	keyFile         = "key.pem"
)

// encode writes a certificate and its key as files have them.
func encode(cert tls.Certificate) (certificate, key string, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return "", "", err
	}
	block := func(kind string, content []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
	}
	return block("CERTIFICATE", cert.Certificate[0]), block("PRIVATE KEY", der), nil
}
