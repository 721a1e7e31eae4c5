package redislimit_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// fakeRedis is in the place of a server, behind a real client: it answers our
// script and nothing else, by the formulae of policy.StoreLimit. What the script
// itself does is tested in examples/fleet, where there is a server.
type fakeRedis struct {
	mu sync.Mutex
	// Guarded by mu:
	delay  time.Duration
	clock  time.Duration // ahead of ours
	hang   chan struct{} // until it is closed
	err    error         // what it answers with, if anything
	fault  error         // what the client says instead of an answer
	reply  any           // what it answers with instead
	knows  bool          // the script
	trips  int
	calls  []int // of each trip
	texts  int   // times that it was sent the script
	keys   []string
	tats   map[string]int64
	highs  map[string]int64 // backlogs of those who may queue, when they were stored
	forget bool             // the script, at once
}

func (f *fakeRedis) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (f *fakeRedis) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (f *fakeRedis) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(_ context.Context, cmds []redis.Cmder) error {
		f.mu.Lock()
		f.trips++
		f.calls = append(f.calls, len(cmds))
		delay, hang, fault := f.delay, f.hang, f.fault
		f.mu.Unlock()
		time.Sleep(delay)
		if hang != nil {
			<-hang // as go-redis does: it does not look at the context
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, cmd := range cmds {
			if fault != nil {
				cmd.SetErr(fault)
				continue
			}
			f.answer(cmd.(command))
		}
		return fault
	}
}

type command interface {
	redis.Cmder
	SetVal(v any)
}

func (f *fakeRedis) answer(cmd command) {
	args := cmd.Args()
	if args[0] == "eval" {
		f.texts++
		f.knows = !f.forget
	} else if !f.knows {
		cmd.SetErr(redis.ErrNoScript)
		return
	}
	key := args[3].(string)
	f.keys = append(f.keys, key)
	switch {
	case f.err != nil:
		cmd.SetErr(f.err)
	case f.reply != nil:
		cmd.SetVal(f.reply)
	default:
		cmd.SetVal(f.take(key, args[4:]))
	}
}

func (f *fakeRedis) take(key string, args []any) []any {
	now, taken := time.Now().Add(f.clock).UnixMicro(), int64(1)
	reply := []any{taken}
	var backlogs []int64
	for i := 0; i < len(args); i += 2 {
		field, n := key+"/"+args[i].(string), toInts(args[i+1])
		full, ceiling, line, most, cost, owed := n[0], n[1], n[2], n[3], n[4], n[5]
		high, ok := f.highs[field]
		if !ok {
			high = full
		}
		backlog := max(0, min(f.tats[field]-now, high, ceiling))
		reply = append(reply, backlog)
		backlog = max(backlog, min(backlog+owed, line))
		if cost > 0 && backlog+cost > most {
			taken = 0
		}
		backlogs = append(backlogs, backlog)
	}
	for i, backlog := range backlogs {
		field, n := key+"/"+args[2*i].(string), toInts(args[2*i+1])
		full, ceiling, cost := n[0], n[1], n[4]
		if taken == 1 {
			backlog += cost
		}
		f.tats[field] = now + backlog
		delete(f.highs, field)
		if ceiling > full {
			f.highs[field] = backlog
		}
	}
	reply[0] = taken
	return reply
}

func toInts(v any) (all []int64) {
	for word := range strings.FieldsSeq(v.(string)) {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			panic(err)
		}
		all = append(all, n)
	}
	return all
}

// set changes how the server behaves, while it serves.
func (f *fakeRedis) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fakeRedis) tripped() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.trips
}

// newFake returns a server that knows the script.
func newFake(t *testing.T) (*fakeRedis, redislimit.Client) {
	t.Helper()
	f := &fakeRedis{tats: map[string]int64{}, highs: map[string]int64{}, knows: true}
	client := redis.NewClient(&redis.Options{Addr: "192.0.2.1:6379"})
	client.AddHook(f)
	t.Cleanup(func() { client.Close() })
	return f, client
}

func newStore(t *testing.T, c redislimit.Client, cfg redislimit.Config, opts ...redislimit.Option) *redislimit.Store {
	t.Helper()
	s, err := redislimit.NewStore(c, cfg, opts...)
	require.NoError(t, err)
	return s
}

// answeredError is an error that Redis answers with.
type answeredError string

func (e answeredError) Error() string { return string(e) }
func (answeredError) RedisError()     {}

// perSecond holds n units.
func perSecond(n int) []policy.StoreLimit {
	return []policy.StoreLimit{{Name: "default", Burst: n, Interval: time.Second / time.Duration(n)}}
}

// journal keeps decisions.
type journal struct {
	mu   sync.Mutex
	told []policy.Decision
}

func (j *journal) Observe(_ context.Context, d policy.Decision) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.told = append(j.told, d)
}

// words are what was decided, in a few words each.
func (j *journal) words() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []string
	for _, d := range j.told {
		all = append(all, d.Policy+" "+string(d.Action)+" "+string(d.Reason))
	}
	return all
}

// backlog is the highest of a field.
func (f *fakeRedis) backlog(field string) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	tat := int64(0)
	for name, at := range f.tats {
		if strings.HasSuffix(name, "/"+field) {
			tat = max(tat, at)
		}
	}
	return time.Until(time.UnixMicro(tat))
}

func (f *fakeRedis) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keys
}
