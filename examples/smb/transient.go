package main

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"

	"github.com/cloudsoda/go-smb2"

	"github.com/magnetar-go/magnetar/policy"
)

// What a server answers with, of [MS-ERREF] 2.3.1.
const (
	statusSharingViolation     = 0xC0000043
	statusFileLockConflict     = 0xC0000054
	statusLogonFailure         = 0xC000006D
	statusInsufficientResource = 0xC000009A
	statusDeletePending        = 0xC0000056
	statusIOTimeout            = 0xC00000B5
	statusNetworkNameDeleted   = 0xC00000C9
	statusBadNetworkName       = 0xC00000CC
	statusTooManySessions      = 0xC00000CE
	statusUserSessionDeleted   = 0xC0000203
	statusInsuffServerResource = 0xC0000205
	statusDisconnected         = 0xC000020C
	statusConnectionReset      = 0xC000020D
	statusConnectionAborted    = 0xC0000241
	statusServerShutdown       = 0xC00002FF
	statusSessionExpired       = 0xC000035C
	statusServerUnavailable    = 0xC0000466
)

// sessionGone are the answers of a server to which a session or a mounted share
// is unknown; with a new one the same may go well.
var sessionGone = []uint32{
	statusNetworkNameDeleted, statusUserSessionDeleted, statusSessionExpired,
	statusDisconnected, statusConnectionReset, statusConnectionAborted,
}

// overloaded are the answers of a server that has too much to do, or stops.
var overloaded = []uint32{
	statusInsufficientResource, statusInsuffServerResource, statusTooManySessions,
	statusIOTimeout, statusServerShutdown, statusServerUnavailable,
}

// unopened are the answers to who opens a file that somebody else has open; one
// that was removed meanwhile is gone after that.
var unopened = []uint32{statusSharingViolation, statusDeletePending}

// locked is the answer to who reads or writes what somebody else has locked.
var locked = []uint32{statusFileLockConflict}

// marked marks err for the policies: all that is not known to pass is permanent,
// such as a file that does not exist and a wrong password. The end of a context
// stays what it is.
func marked(err error) error {
	switch {
	case err == nil, ended(err):
		return err
	case serversFault(err), answered(err, unopened), answered(err, locked):
		return policy.Transient(err)
	}
	return policy.Permanent(err)
}

// serversFault reports whether err is of the server, or of the network on the way
// to it: what a circuit breaker counts. A caller who leaves is none, but that no
// session could be made while one waited is, as is the time of a try.
func serversFault(err error) bool {
	switch {
	case errors.Is(err, policy.ErrTimeout):
		return true
	case ended(err) && !errors.Is(err, policy.ErrConnectionCreation):
		return false
	}
	return unusable(err) || answered(err, overloaded) || errors.Is(err, smb2.ErrRequestNotAccepted)
}

func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// unusable reports whether err ends a session. An answer that makes no sense
// does: what follows may make none either.
func unusable(err error) bool {
	_, network := errors.AsType[*net.OpError](err)
	_, transport := errors.AsType[*smb2.TransportError](err) // which does not unwrap
	_, nonsense := errors.AsType[*smb2.InvalidResponseError](err)
	return network || transport || nonsense ||
		errors.Is(err, errBroken) || errors.Is(err, errInUse) || answered(err, sessionGone)
}

// answered reports whether err is one of these answers.
func answered(err error, with []uint32) bool {
	response, ok := errors.AsType[*smb2.ResponseError](err)
	return ok && slices.Contains(with, response.Code)
}

// told reports whether err is the server's own word on a request, so that it is
// known not to have been carried out. Some answers go-smb2 tells as those of os.
// What a server says of a session or of itself is no such word: it may be its
// answer to the close that follows a rename, which was made.
func told(err error) bool {
	_, response := errors.AsType[*smb2.ResponseError](err)
	known := response || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrExist) || errors.Is(err, os.ErrPermission)
	return known && !serversFault(err)
}
