package policy_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
)

// switchable counts what it is told while it is on.
type switchable struct {
	on   bool
	told int
}

func (s *switchable) Enabled(context.Context) bool             { return s.on }
func (s *switchable) Observe(context.Context, policy.Decision) { s.told++ }

func TestObserversTellEachInOrder(t *testing.T) {
	var order []string
	named := func(name string) policy.Observer {
		return policy.ObserverFunc(func(_ context.Context, d policy.Decision) { order = append(order, name+" "+d.Key) })
	}
	policy.Observers(named("a"), nil, named("b")).Observe(t.Context(), policy.Decision{Key: "k"})
	require.Equal(t, []string{"a k", "b k"}, order)
}

func TestObserversWithoutAnyAreNil(t *testing.T) {
	require.Nil(t, policy.Observers())
	require.Nil(t, policy.Observers(nil, nil))
}

func TestObserversLeaveASingleOneAlone(t *testing.T) {
	s := &switchable{}
	require.Same(t, s, policy.Observers(nil, s))
}

func TestObserversAreEnabledWhileOneIs(t *testing.T) {
	a, b := &switchable{}, &switchable{}
	both := policy.Observers(a, b)
	enabled := func() bool { return both.(policy.Enabler).Enabled(t.Context()) }
	require.False(t, enabled())
	b.on = true
	require.True(t, enabled())

	both.Observe(t.Context(), policy.Decision{})
	require.Zero(t, a.told, "nobody looks there")
	require.Equal(t, 1, b.told)

	always := policy.ObserverFunc(func(context.Context, policy.Decision) {})
	require.True(t, policy.Observers(a, always).(policy.Enabler).Enabled(t.Context()))
}
