package otel

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIdentityComparesWhateverAProviderIs(t *testing.T) {
	type plain struct{ n int }
	type deep struct{ v any }
	list := []int{1, 2}
	pointer := new(int)
	for name, tt := range map[string]struct {
		a, b any
		same bool
	}{
		"pointer":             {pointer, pointer, true},
		"other pointer":       {pointer, new(int), false},
		"equal values":        {plain{1}, plain{1}, true},
		"other type":          {plain{1}, deep{1}, false},
		"one slice":           {list, list, true},
		"part of it":          {list, list[:1], false},
		"equal slice":         {list, []int{1, 2}, false},
		"slice and other":     {list, []string{""}, false},
		"holds no comparable": {deep{list}, deep{list}, false},
		"only one does":       {deep{1}, deep{list}, false},
		"function":            {func() {}, func() {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			id := identify(tt.a)
			require.Equal(t, tt.same, id.is(tt.b))
		})
	}
	id := identify(func() {})
	require.True(t, id.void())
}

func TestProviderThatCannotBeComparedIsNotRemembered(t *testing.T) {
	made := 0
	s := newSource(any(nil), func() any { return []func(){} }, func(p any) (int, any) { made++; return made, p })
	s.of(func() {})
	n, ok := s.of(func() {})
	require.True(t, ok)
	require.Equal(t, 2, n)
	require.Empty(t, s.recent.all())
}

func TestRecentForgetsTheOldest(t *testing.T) {
	var r recent[int]
	require.Empty(t, r.all())
	for i := range recentMax + 3 {
		r.add(i)
	}
	require.Len(t, r.all(), recentMax)
	require.Equal(t, recentMax+2, r.all()[0])
}
