package config_test

import (
	"errors"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy/config"
)

// settings has a field of everything that can be configured.
type settings struct {
	Common `yaml:",inline"`
	lent
	*Extra

	Name     string         `yaml:"name"`
	Mode     mode           `json:"mode,omitempty"`
	Small    int8           `yaml:"small"`
	Count    int            `yaml:"count"`
	Port     uint16         `yaml:"port"`
	Total    uint64         `yaml:"total"`
	Share    float64        `yaml:"share"`
	Rough    float32        `yaml:"rough"`
	Wait     time.Duration  `yaml:"wait"`
	Addr     netip.Addr     `yaml:"addr"`
	Retry    *retry         `yaml:"retry,omitempty"`
	Maximum  *int           `yaml:"maximum"`
	Hosts    []host         `yaml:"hosts"`
	Words    []string       `yaml:"words"`
	Limits   map[string]int `yaml:"limits"`
	Routes   map[mode]*host `yaml:"routes"`
	ByAddr   map[netip.Addr]time.Duration
	Next     *settings `yaml:"next"`
	Callback func()    `yaml:"callback"`
	Secret   string    `yaml:"-" json:"hush"`
	Legacy   string    `json:"-"`
	hidden   string
}

type Common struct {
	Region string `yaml:"region"`
	Name   string `yaml:"name"` // settings has its own
}

type lent struct {
	Verbose bool `yaml:"verbose"`
}

type Extra struct {
	Label string `yaml:"label"`
	Note  string `yaml:"note"`
}

type mode string

type retry struct {
	MaxRetries int           `yaml:"max_retries"`
	MaxBackoff time.Duration `yaml:"max_backoff"`
	Multiplier float64       `yaml:"multiplier"`
}

type host struct {
	Addr   string `yaml:"addr"`
	Weight int    `yaml:"weight"`
}

// Validate has a rule about a field, one about a part and one about nothing.
func (s *settings) Validate() error {
	var errs []error
	if math.IsNaN(s.Share) || s.Share < 0 || s.Share > 1 {
		errs = append(errs, errors.New("share: must be between 0 and 1"))
	}
	if s.Retry != nil && s.Retry.MaxRetries > 10 {
		errs = append(errs, errors.New("retry.max_retries: must be ≤ 10"))
	}
	if s.Retry != nil && s.Retry.Multiplier < 0 {
		errs = append(errs, errors.New("retry.budget: must be set: the multiplier is negative"))
	}
	if s.Count < 0 {
		errs = append(errs, errors.New("not with this count"))
	}
	return errors.Join(errs...)
}

func load(t *testing.T, sources ...config.Source) settings {
	t.Helper()
	var s settings
	require.NoError(t, config.Load(&s, sources...))
	return s
}

func loadYAML(t *testing.T, doc string) settings {
	t.Helper()
	return load(t, config.YAML([]byte(doc)))
}

// refused loads what must be refused and returns the faults, a line each.
func refused(t *testing.T, sources ...config.Source) string {
	t.Helper()
	s := settings{Name: "untouched"}
	err := config.Load(&s, sources...)
	require.Error(t, err)
	require.Equal(t, settings{Name: "untouched"}, s)
	return err.Error()
}
