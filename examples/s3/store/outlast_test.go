package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

func TestAwayIsWhatTimeMayHeal(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(*http.Request) (*http.Response, error)
		away   bool
	}{
		"reset":       {failed(syscall.ECONNRESET), true},
		"refused":     {failed(&policy.Error{Reason: policy.ReasonCircuitOpen}), true},
		"503":         {status(http.StatusServiceUnavailable, slowDown), true},
		"500":         {status(http.StatusInternalServerError, ""), true},
		"429":         {status(http.StatusTooManyRequests, ""), true},
		"501":         {status(http.StatusNotImplemented, ""), false},
		"505":         {status(http.StatusHTTPVersionNotSupported, ""), false},
		"closed":      {failed(&policy.Error{Reason: policy.ReasonClosed}), false},
		"permanent":   {failed(policy.Permanent(errors.New("no"))), false},
		"403":         {status(http.StatusForbidden, ""), false},
		"404":         {status(http.StatusNotFound, ""), false},
		"certificate": {failed(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), false},
		"canceled":    {failed(context.Canceled), false},
	} {
		t.Run(name, func(t *testing.T) {
			peer := &stub{answers: slices.Repeat(answers(c.answer), 3)}
			err := put(t, over(peer, configuration(overTLS), Chain()), strings.NewReader("content"), 7)
			require.Error(t, err)
			require.Equal(t, c.away, Away(err), err)
		})
	}
	require.True(t, Away(fmt.Errorf("read: %w", io.ErrUnexpectedEOF)))
	require.False(t, Away(errors.New("another")))
	require.False(t, Away(&smithy.GenericAPIError{Code: "NoSuchKey"}))
}

func TestOutlastMakesTheCallUntilTheStoreIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(time.Minute)
		peer := roundTripper(func(r *http.Request) (*http.Response, error) {
			if time.Now().Before(back) {
				return nil, syscall.ECONNREFUSED
			}
			return status(http.StatusOK, "")(r)
		})
		s := over(peer, configuration(overTLS), Chain())
		require.NoError(t, Outlast(t.Context(), func(context.Context) error { return put(t, s, strings.NewReader("content"), 7) }))
		require.Less(t, time.Since(back), 5*time.Second)

		back = time.Now().Add(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := Outlast(ctx, func(context.Context) error { return put(t, s, strings.NewReader("content"), 7) })
		require.True(t, Away(err), err)
	})
}
