package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestJaegerIsPinnedAndOnLoopbackOnly(t *testing.T) {
	text, err := os.ReadFile("compose.yaml")
	require.NoError(t, err)
	var compose struct {
		Services map[string]struct {
			Image       string   `yaml:"image"`
			Ports       []string `yaml:"ports"`
			NetworkMode string   `yaml:"network_mode"`
		} `yaml:"services"`
	}
	require.NoError(t, yaml.Unmarshal(text, &compose))
	require.Len(t, compose.Services, 1)
	s := compose.Services["jaeger"]
	require.Regexp(t, `^jaegertracing/jaeger:2\.\d+\.\d+$`, s.Image)
	require.Equal(t, []string{"127.0.0.1:4317:4317", "127.0.0.1:4318:4318", "127.0.0.1:16686:16686"}, s.Ports)
	require.Empty(t, s.NetworkMode, "the host's network would bind all interfaces")
}
