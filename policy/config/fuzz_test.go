package config_test

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy/config"
)

func FuzzYAML(f *testing.F) {
	f.Fuzz(func(t *testing.T, doc []byte) {
		loadedMeansValid(t, config.YAML(doc))
	})
}

func FuzzJSON(f *testing.F) {
	f.Fuzz(func(t *testing.T, doc []byte) {
		if loadedMeansValid(t, config.JSON(doc)) {
			text := bytes.TrimPrefix(doc, []byte("\ufeff"))
			require.True(t, json.Valid(text) || len(bytes.TrimSpace(text)) == 0, "not JSON")
		}
	})
}

func FuzzEnviron(f *testing.F) {
	f.Fuzz(func(t *testing.T, one, other string) {
		loadedMeansValid(t, config.Environ("APP", []string{"APP_" + one, "APP_" + other}))
	})
}

// loadedMeansValid checks that what is loaded is valid, that loading it again
// changes nothing, and that a refusal leaves all as it was.
func loadedMeansValid(t *testing.T, source config.Source) bool {
	t.Helper()
	defaults := func() settings { return settings{Name: "default", Retry: &retry{MaxRetries: 3}} }
	s := defaults()
	if err := config.Load(&s, source); err != nil {
		require.NotEmpty(t, err.Error())
		require.Equal(t, defaults(), s)
		return false
	}
	require.NoError(t, s.Validate())
	again := s
	require.NoError(t, config.Load(&again, source))
	if !holdsNaN(s) {
		require.Equal(t, s, again)
	}
	return true
}

// holdsNaN reports whether s cannot be compared, not even to itself.
func holdsNaN(s settings) bool {
	if math.IsNaN(float64(s.Rough)) || s.Retry != nil && math.IsNaN(s.Retry.Multiplier) {
		return true
	}
	return s.Next != nil && (math.IsNaN(s.Next.Share) || holdsNaN(*s.Next))
}
