package policy_test

import (
	"context"
	"hash/maphash"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

func TestPrioritiesHaveNamesAndAnOrder(t *testing.T) {
	names := map[policy.Priority]string{
		policy.Bulk: "bulk", policy.Low: "low", policy.Normal: "normal", policy.Critical: "critical",
		-128: "bulk", 127: "critical",
	}
	for p, name := range names {
		require.Equal(t, name, p.String())
	}
	require.Less(t, policy.Bulk, policy.Low)
	require.Less(t, policy.Low, policy.Normal)
	require.Less(t, policy.Normal, policy.Critical)
	require.Zero(t, policy.Normal)
}

func TestParsePriorityIsTheInverseOfString(t *testing.T) {
	for p := policy.Bulk; p <= policy.Critical; p++ {
		got, err := policy.ParsePriority(p.String())
		require.NoError(t, err)
		require.Equal(t, p, got)
	}
	cases := map[string]string{
		"":         `priority "": must be one of bulk, low, normal, critical`,
		"Critical": `priority "Critical": must be one of bulk, low, normal, critical`,
		"1":        `priority "1": must be one of bulk, low, normal, critical`,
		"a name that is much too long for a log\n": `priority "a name that is much ": must be one of bulk, low, normal, critical`,
	}
	for in, fault := range cases {
		p, err := policy.ParsePriority(in)
		require.EqualError(t, err, fault)
		require.Equal(t, policy.Normal, p)
	}
}

func FuzzParsePriority(f *testing.F) {
	for _, s := range []string{"", "bulk", "low", "normal", "critical", "critical ", "\x00", "Ünwichtig"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := policy.ParsePriority(s)
		if err == nil {
			require.Equal(t, s, p.String())
			return
		}
		require.Equal(t, policy.Normal, p)
		require.Less(t, len(err.Error()), 200)
	})
}

func TestContextCarriesPriorityAndCohort(t *testing.T) {
	ctx := t.Context()
	require.Equal(t, policy.Normal, policy.PriorityFromContext(ctx))
	_, ok := policy.CohortFromContext(ctx)
	require.False(t, ok)

	type key struct{}
	ctx = context.WithValue(ctx, key{}, "value")
	cohort := policy.ContextWithCohort(ctx, 0)
	low := policy.ContextWithPriority(cohort, policy.Low)
	both := policy.ContextWithStanding(low, 127, 42)
	for _, tc := range []struct {
		ctx      context.Context //nolint:containedctx // a case
		priority policy.Priority
		cohort   uint64
		inCohort bool
	}{
		{cohort, policy.Normal, 0, true},
		{low, policy.Low, 0, true},
		{policy.ContextWithCohort(low, 7), policy.Low, 7, true},
		{policy.ContextWithPriority(ctx, -128), policy.Bulk, 0, false},
		{both, policy.Critical, 42, true},
		{context.WithoutCancel(both), policy.Critical, 42, true},
	} {
		require.Equal(t, tc.priority, policy.PriorityFromContext(tc.ctx))
		cohort, in := policy.CohortFromContext(tc.ctx)
		require.Equal(t, tc.cohort, cohort)
		require.Equal(t, tc.inCohort, in)
		require.Equal(t, "value", tc.ctx.Value(key{}))
	}
}

func TestQueueIsServedByPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := policy.NewConcurrency(policy.ConcurrencyConfig{Limit: 1, MaxQueue: 10, MaxWait: -1})
		p := hold(t, c, 1)[0]
		entered := make(chan policy.Priority, 10)
		for i, priority := range []policy.Priority{policy.Normal, policy.Bulk, policy.Critical, policy.Low, policy.Critical, policy.Bulk} {
			go func() {
				// Whatever its cohort, a priority comes before those below it.
				ctx := policy.ContextWithStanding(t.Context(), priority, uint64(i))
				permit, err := c.Admit(ctx)
				if err == nil {
					entered <- priority
					permit.Done(ctx, policy.Success)
				}
			}()
			synctest.Wait()
		}
		p.Done(t.Context(), policy.Success)
		for _, want := range []policy.Priority{policy.Critical, policy.Critical, policy.Normal, policy.Low, policy.Bulk, policy.Bulk} {
			require.Equal(t, want, <-entered)
		}
	})
}

// Twice as many calls as can be served: most users are served nearly always or
// hardly ever, for a while, and then others are.
func TestCohortsShareTheirFate(t *testing.T) {
	const users, period, periods = 40, 10 * time.Second, 18
	synctest.Test(t, func(t *testing.T) {
		seed := maphash.MakeSeed()
		var served, came [periods][users]float64
		start := time.Now()
		l := load{limit: policy.NewConcurrency(policy.ConcurrencyConfig{}), slots: 8, mean: 40 * time.Millisecond, times: 2}
		l.caller = func(call int, ctx context.Context) context.Context {
			return policy.ContextWithCohort(ctx, maphash.Comparable(seed, call%users))
		}
		l.each = func(c *call) {
			at := min(periods-1, int(c.arrived.Sub(start)/period))
			came[at][c.number%users]++
			if c.served {
				served[at][c.number%users]++
			}
		}
		calls, answered, _ := l.run(periods * period)
		require.Greater(t, float64(answered)/float64(calls), 0.45)

		apart, all := 0, 0
		var best, worst [users]int // periods in which a user was served, or was not
		for at := 1; at < periods; at++ {
			for user := range users {
				share := served[at][user] / came[at][user]
				all++
				if share < 0.1 || share > 0.9 {
					apart++
				}
				if share > 0.5 {
					best[user]++
				} else {
					worst[user]++
				}
			}
		}
		require.Greater(t, float64(apart)/float64(all), 0.7)
		turns := 0
		for user := range users {
			if best[user] > 2 && worst[user] > 2 {
				turns++
			}
		}
		require.Greater(t, turns, users/3)
	})
}
