//go:build linux

package daemon

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A server has so long to answer its port once it is started, and to end once it
// is asked to; a tool of its to do what it is for.
const (
	startTimeout = 20 * time.Second
	stopTimeout  = 10 * time.Second
	toolTimeout  = time.Minute
)

// Program is a server on this machine.
type Program struct {
	// Name of its binary, such as "nginx".
	Name string
	// Package of Debian's that has it, such as "nginx".
	Package string
	// Variable of the environment that has the binary's path, for what Debian
	// does not pack. Default: "", Name is looked for.
	Variable string
	// Build says how to make that binary.
	Build string
	// Env is added to the environment that the server gets, as "KEY=value".
	Env []string
	// User it runs as where root runs the tests, for servers that refuse to be
	// root's. Default: "", whoever runs the tests.
	User string
}

// Daemon is a server, and what it needs to run. It belongs to one test.
type Daemon struct {
	// Dir is the server's own directory. It is gone when the test has ended.
	Dir string
	// Port on 127.0.0.1 that is the server's own, and at which it is known to
	// have started.
	Port int

	t       testing.TB
	program Program
	binary  string
	as      *syscall.Credential // nil: nobody else
	args    []string
	log     *os.File // what it says, on both channels

	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd is
}

// New finds the program, gives it a directory and a port, and leaves it to Start
// to run it. Where the program is not installed the test is skipped; but on CI,
// which the environment's CI tells, it fails.
func New(t testing.TB, p Program) *Daemon {
	t.Helper()
	if interrupted := context.Cause(t.Context()); interrupted != nil {
		t.Fatal(interrupted)
	}
	binary := p.Find(t)
	d := &Daemon{t: t, program: p, binary: binary, as: p.credential(t), Port: FreePort(t)}
	d.makeDir()
	var err error
	d.log, err = os.Create(filepath.Join(d.Dir, "daemon.log"))
	if err != nil {
		t.Fatalf("%s gets no log: %v", d, err)
	}
	t.Cleanup(d.end)
	return d
}

// String is what the server is called in what is told of it.
func (d *Daemon) String() string { return filepath.Base(d.program.Name) }

// Address is where the server answers.
func (d *Daemon) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(d.Port)) }

// File writes a file into the server's directory and returns its path.
func (d *Daemon) File(name, content string) string {
	d.t.Helper()
	path := filepath.Join(d.Dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		d.t.Fatalf("%s gets no file: %v", d, err)
	}
	d.give(path)
	return path
}

// Run runs a tool of the server to its end, as the server's user. One that hangs is
// killed.
func (d *Daemon) Run(name string, args ...string) {
	d.t.Helper()
	path, err := lookPath(name)
	if err != nil {
		d.t.Fatal(notHere(name, d.program.Package))
	}
	said, err := toEnd(d.command(path, args), toolTimeout)
	if err != nil {
		d.t.Fatalf("%s, which %s needs, failed: %v\n%s", name, d, err, said)
	}
}

// toEnd runs a command of a process group of its own, and returns what it said.
func toEnd(cmd *exec.Cmd, timeout time.Duration) ([]byte, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	hung := time.AfterFunc(timeout, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err := cmd.Wait()
	if !hung.Stop() {
		err = fmt.Errorf("it hung for %v: %w", timeout, err)
	}
	return out.Bytes(), err
}

// Start runs the server in the foreground, and returns once its port answers.
func (d *Daemon) Start(args ...string) {
	d.t.Helper()
	d.args = args
	d.serve()
}

// Restart ends the server, and starts it anew as it was started before.
func (d *Daemon) Restart() {
	d.t.Helper()
	d.Stop()
	d.serve()
}

// Signal sends a signal to the server, which must run.
func (d *Daemon) Signal(s os.Signal) {
	d.t.Helper()
	require.NotNil(d.t, d.cmd, "%s does not run", d)
	require.NoError(d.t, d.cmd.Process.Signal(s))
}

// SignalAll sends a signal to the server, which must run, and to its children.
func (d *Daemon) SignalAll(s syscall.Signal) {
	d.t.Helper()
	require.NotNil(d.t, d.cmd, "%s does not run", d)
	require.NoError(d.t, syscall.Kill(-d.cmd.Process.Pid, s)) // the group
}

// Stop asks the server to end by SIGTERM; if it takes too long, it is killed.
func (d *Daemon) Stop() {
	if d.cmd == nil {
		return
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM) // unless it has ended
	select {
	case <-d.ended:
		d.cmd = nil
	case <-time.After(stopTimeout):
		d.t.Errorf("%s did not end within %v of SIGTERM", d, stopTimeout)
		d.Kill()
	}
}

// Kill ends the server and its children without a word.
func (d *Daemon) Kill() {
	if d.cmd == nil {
		return
	}
	_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL) // the group
	<-d.ended
	d.cmd = nil
}

// Log is what the server has said so far.
func (d *Daemon) Log() string {
	said, err := os.ReadFile(d.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(said)
}

// end is what becomes of the server when the test is over.
func (d *Daemon) end() {
	d.Stop()
	if d.t.Failed() {
		d.t.Logf("%s said:\n%s", d, d.Log())
	}
	_ = d.log.Close()
}

func (d *Daemon) serve() {
	d.t.Helper()
	cmd, ended := d.command(d.binary, d.args), make(chan struct{})
	cmd.Stdout, cmd.Stderr = d.log, d.log
	if err := cmd.Start(); err != nil {
		d.t.Fatalf("%s cannot be started: %v", d, err)
	}
	d.cmd, d.ended = cmd, ended
	go func() {
		defer close(ended)
		_ = cmd.Wait() // what it ended with is in its log
	}()
	if err := d.answers(); err != nil {
		d.t.Fatalf("%s %v; it said:\n%s", d, err, d.Log())
	}
}

// answers waits until the server's port does.
func (d *Daemon) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	var dialer net.Dialer
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := dialer.DialContext(ctx, "tcp", d.Address())
		if err == nil {
			_ = conn.Close()
			if conn.LocalAddr().String() != d.Address() { // a port without a listener may get connected to itself
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-d.ended:
			return fmt.Errorf("ended before it answered at %s", d.Address())
		case <-ctx.Done():
			return fmt.Errorf("did not answer within %v: %w", startTimeout, err)
		}
	}
}

// command makes a group of the process and its children, that ends with the
// test's process however that ends.
func (d *Daemon) command(binary string, args []string) *exec.Cmd {
	cmd := exec.Command(binary, args...) //nolint:gosec,noctx // the test's own; it outlives its context, to end in a Cleanup
	cmd.Dir = d.Dir
	cmd.Env = append(cmd.Environ(), d.program.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM, Credential: d.as}
	return cmd
}
