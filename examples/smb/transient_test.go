package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/cloudsoda/go-smb2"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

func TestErrorsAreTransientByTheirTypes(t *testing.T) {
	status := func(code uint32) error {
		return &os.PathError{Op: "open", Path: "f", Err: &smb2.ResponseError{Code: code}}
	}
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	cases := []struct {
		err                         error
		transient, fault, permanent bool
	}{
		{err: refused, transient: true, fault: true},
		{err: fmt.Errorf("session: %w", refused), transient: true, fault: true},
		{err: &smb2.TransportError{Err: errors.New("EOF")}, transient: true, fault: true},
		{err: &smb2.InvalidResponseError{}, transient: true, fault: true},
		{err: smb2.ErrRequestNotAccepted, transient: true, fault: true},
		{err: errBroken, transient: true, fault: true},
		{err: status(statusUserSessionDeleted), transient: true, fault: true},
		{err: status(statusNetworkNameDeleted), transient: true, fault: true},
		{err: status(statusInsufficientResource), transient: true, fault: true},
		{err: status(statusSharingViolation), transient: true},
		{err: status(statusLogonFailure), permanent: true},
		{err: status(statusBadNetworkName), permanent: true},
		{err: &os.PathError{Op: "open", Err: os.ErrNotExist}, permanent: true},
		{err: os.ErrPermission, permanent: true},
		{err: &smb2.InternalError{}, permanent: true},
		{err: errors.New("connection error: connection reset by peer"), permanent: true}, // only says so
		{err: context.Canceled},
		{err: fmt.Errorf("%w: %w", context.DeadlineExceeded, refused)},
	}
	for _, c := range cases {
		err := marked(c.err)
		require.ErrorIs(t, err, c.err)
		require.Equal(t, c.transient, policy.IsTransient(err), c.err)
		require.Equal(t, c.permanent, policy.IsPermanent(err), c.err)
		require.Equal(t, c.fault, serversFault(c.err), c.err)
	}
	require.NoError(t, marked(nil))
	require.False(t, serversFault(nil))
}

func TestPatientCallerWaitsForWhatMayPass(t *testing.T) {
	for _, err := range []error{policy.ErrCircuitOpen, policy.ErrPoolExhausted, policy.Transient(errBroken), context.DeadlineExceeded} {
		require.True(t, worthWaiting(err), err)
	}
	for _, err := range []error{policy.ErrClosed, policy.ErrSaturated, policy.Permanent(os.ErrNotExist)} {
		require.False(t, worthWaiting(fmt.Errorf("append: %w", err)), err)
	}
}
