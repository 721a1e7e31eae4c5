//go:build linux

package main

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/s3/store"
	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

func requireCode(t *testing.T, err error, code string) {
	t.Helper()
	said, ok := errors.AsType[smithy.APIError](err)
	require.Truef(t, ok, "%v", err)
	require.Equal(t, code, said.ErrorCode(), err)
}

// breaker is that of the client's only peer.
func (c *client) breaker(t *testing.T) policy.CircuitBreakerStats {
	t.Helper()
	for state := range c.HTTP.Transport.(*transport.Transport).States() {
		return *state.Breaker
	}
	require.Fail(t, "nothing was called")
	return policy.CircuitBreakerStats{}
}

// many is more than a breaker would put up with.
const many = 30

func TestRefusalsAreClearAndNeitherRepeatedNorHeldAgainstTheServer(t *testing.T) {
	s := serve(t, gatewayProgram)
	wrong, err := s.clientOf(s.proxy.url, "wrong", store.Chain())
	require.NoError(t, err)
	defer wrong.Close()
	for name, call := range map[string]struct {
		client *client
		code   string
		make   func(*client) error
	}{
		"credentials": {wrong, "SignatureDoesNotMatch", func(c *client) error { return c.put(t.Context(), "key", small) }},
		"bucket": {s.through(t), "NoSuchBucket", func(c *client) error {
			_, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("no-such-bucket"), Key: aws.String("key")})
			return err
		}},
		"key":  {s.through(t), "NoSuchKey", func(c *client) error { return c.get(t.Context(), "no-such-key", small) }},
		"head": {s.through(t), "NotFound", func(c *client) error { return c.head(t.Context(), "no-such-key", small) }},
	} {
		t.Run(name, func(t *testing.T) {
			s.proxy.play(nil)
			for range many {
				requireCode(t, call.make(call.client), call.code)
			}
			came, _ := s.proxy.counts()
			require.Equal(t, many, came)
			require.Equal(t, policy.Closed, call.client.breaker(t).State)
			require.Zero(t, call.client.breaker(t).Failures)
		})
	}
}

func TestContextThatHasEndedSendsNothing(t *testing.T) {
	s := serve(t, gatewayProgram)
	c := s.through(t)
	s.proxy.play(nil)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	require.ErrorIs(t, c.put(ctx, "key", small), context.DeadlineExceeded)
	came, _ := s.proxy.counts()
	require.Zero(t, came)
}

func TestContextThatEndsOnTheWayIsTheError(t *testing.T) {
	s := serve(t, gatewayProgram)
	c := s.through(t)
	s.proxy.play(every(1, anything, stall))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, c.put(ctx, "key", small), context.DeadlineExceeded)
	came, _ := s.proxy.counts()
	require.LessOrEqual(t, came, 1)
}

func brief() transport.Config {
	chain := store.Chain()
	chain.Timeouts.Total, chain.Timeouts.Attempt = time.Second, 300*time.Millisecond
	return chain
}

func TestServerThatNeverAnswersIsATimeout(t *testing.T) {
	s := serve(t, gatewayProgram)
	c, err := s.client(s.proxy.url, brief())
	require.NoError(t, err)
	defer c.Close()
	s.proxy.play(every(1, anything, stall))
	err = c.get(t.Context(), "key", small)
	require.ErrorIs(t, err, policy.ErrTimeout)
	came, _ := s.proxy.counts()
	require.LessOrEqual(t, came, 3)
	require.Positive(t, c.breaker(t).Failures)
}

// It does not even speak TLS.
func TestServerThatOnlyAcceptsIsATimeout(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	s := &stage{}
	c, err := s.client("https://"+l.Addr().String(), brief())
	require.NoError(t, err)
	defer c.Close()
	for name, call := range map[string]func() error{
		"get": func() error { return c.get(t.Context(), "key", small) },
		"put": func() error { return c.put(t.Context(), "key", small) },
	} {
		require.ErrorIs(t, call(), policy.ErrTimeout, name)
	}
}

func TestNobodyThereIsAnErrorAtOnce(t *testing.T) {
	s := serve(t, gatewayProgram)
	c, err := s.client(s.server, store.Chain())
	require.NoError(t, err)
	defer c.Close()
	s.kill()
	err = c.put(t.Context(), "key", small)
	require.ErrorIs(t, err, policy.ErrMaxRetriesExceeded)
	require.ErrorContains(t, err, "connection refused")
	s.restart()
	require.NoError(t, c.put(t.Context(), "key", small))
}
