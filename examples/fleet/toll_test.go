//go:build linux

package main

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// toll is what a fault has cost. As a hook of a client it counts what the store
// sends again: a call whose script Redis did not know.
type toll struct{ offered, answered, repeated, lost atomic.Int64 }

// call counts a call, which is lost unless it got what it was promised.
func (c *toll) call(kept bool) {
	c.offered.Add(1)
	if kept {
		c.answered.Add(1)
	} else {
		c.lost.Add(1)
	}
}

// promised reports whether err is what mode promises while Redis is away.
func promised(mode redislimit.OnFailure, err error) bool {
	switch mode {
	case redislimit.Local:
		return err == nil
	case redislimit.Closed:
		return policy.Refused(err)
	default:
		return err != nil && !policy.Refused(err)
	}
}

// survived tells what the fault has cost, and that no call was lost.
func (c *toll) survived(t *testing.T, fault string) {
	t.Helper()
	t.Logf("fault: %-40s offered %5d  answered %5d  repeated %3d  lost %d",
		"Redis "+fault, c.offered.Load(), c.answered.Load(), c.repeated.Load(), c.lost.Load())
	require.Positive(t, c.answered.Load())
	require.Zero(t, c.lost.Load(), "lost calls")
}

func (*toll) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (*toll) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (c *toll) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if cmd.Name() == "eval" {
				c.repeated.Add(1)
			}
		}
		return next(ctx, cmds)
	}
}

// countedClient is a client whose store's calls are counted from now on; the
// server has got the script before.
func countedClient(t *testing.T, addr string, c *toll) *redis.Client {
	t.Helper()
	client := clientOf(t, addr)
	do(t, client, "SCRIPT", "LOAD", redislimit.Script)
	client.AddHook(c)
	return client
}
