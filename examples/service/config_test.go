package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "service.yaml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestCommittedFileIsMeantAsItIsRead(t *testing.T) {
	cfg, err := loadConfig("service.yaml")
	require.NoError(t, err)
	require.Equal(t, 2*time.Second, cfg.Inbound.Deadline.Max)
	require.Equal(t, 500, cfg.Inbound.RateLimit.Limit)
	require.Zero(t, cfg.Inbound.Shed.Limit)
	prices, stock := cfg.Upstreams.Prices, cfg.Upstreams.Stock
	require.Equal(t, 300*time.Millisecond, prices.Calls.Timeouts.Attempt)
	require.Equal(t, 0.2, prices.Calls.Retry.Budget.Share)
	require.NotNil(t, prices.Calls.Throttle, "on, though the file says nothing of it")
	require.Equal(t, 64, prices.Connections.MaxInFlight)
	require.NotNil(t, prices.Connections.Outlier)
	require.Nil(t, stock.Calls.Retry, "off")
	require.Equal(t, 250*time.Millisecond, stock.Calls.Timeouts.Total)
	require.Zero(t, stock.Connections.MaxInFlight, "one upstream's values are not the other's")
	require.Equal(t, 20, cfg.Database.Pool.MaxSize)
	require.Equal(t, time.Second, cfg.Database.Breaker.Cooldown)
	require.Nil(t, cfg.Database.RateLimit, "off")
	require.Empty(t, cfg.Shared.URL)
	require.Equal(t, redislimit.Local, cfg.Shared.OnFailure)
	require.Equal(t, 4, cfg.Shared.Replicas)
	require.Equal(t, 1000, prices.Quota.Limit)
	require.Nil(t, stock.Quota)
}

func TestEnvironmentOverridesFile(t *testing.T) {
	t.Setenv("SERVICE_DATABASE_POOL_MAX_SIZE", "40")
	t.Setenv("SERVICE_UPSTREAMS_PRICES_URL", "https://prices.internal/v2")
	t.Setenv("SERVICE_UPSTREAMS_STOCK_CALLS_RETRY", "{}")
	t.Setenv("SERVICE_INBOUND_RATE_LIMIT", "null")
	t.Setenv("SERVICE_DATABASE_URL", "postgres://shop:secret@db:5432/shop")
	t.Setenv("SERVICE_DATABASE_RATE_LIMIT", `{"limit": 9}`)
	t.Setenv("SERVICE_SHARED_URL", "rediss://:secret@redis:6379/1")
	t.Setenv("SERVICE_SHARED_REPLICAS", "9")
	cfg, err := loadConfig("service.yaml")
	require.NoError(t, err)
	require.Equal(t, 40, cfg.Database.Pool.MaxSize)
	require.Equal(t, time.Second, cfg.Database.Pool.AcquireTimeout, "the file's")
	require.Equal(t, "https://prices.internal/v2", cfg.Upstreams.Prices.URL)
	require.NotNil(t, cfg.Upstreams.Stock.Calls.Retry)
	require.Nil(t, cfg.Inbound.RateLimit)
	require.Equal(t, "postgres://shop:secret@db:5432/shop", cfg.Database.URL)
	require.Equal(t, 9, cfg.Database.RateLimit.Limit)
	require.Equal(t, "rediss://:secret@redis:6379/1", cfg.Shared.URL)
	require.Equal(t, 9, cfg.Shared.Replicas)
	require.Equal(t, "shop:", cfg.Shared.Prefix, "the file's")
}

func TestEnvironmentTurnsAPartOff(t *testing.T) {
	t.Setenv("SERVICE_SHARED", "null")
	cfg, err := loadConfig("service.yaml")
	require.NoError(t, err)
	require.Nil(t, cfg.Shared)
	require.NotNil(t, cfg.Upstreams.Prices.Quota, "each process keeps it by itself")
}

func TestEmptyFileIsAllDefaults(t *testing.T) {
	cfg, err := loadConfig(write(t, ""))
	require.NoError(t, err)
	require.Equal(t, defaults(), cfg)
}

func TestAllFaultsAreToldAtOnceWithTheirPaths(t *testing.T) {
	path := write(t, `listen: 8080
admin: nowhere
stop_within: -1s
shared: {url: "redis://:secret@redis:port", on_failure: local, batch: -1, breaker: {cooldown: 3}, addr: redis}
inbound:
  deadline: {max: 2}
  rate_limit: {limit: -5}
  shed: {limt: 64}
upstreams:
  prices:
    url: prices.internal
    calls: {retry: {multiplier: 0.5}, breaker: }
    shared_rate_limit: {limit: 0}
  stock: []
database:
  url: postgres://shop:secret@db:port/shop
  pool: {max_size: 2, min_idle: 3}
  breaker: {failure_rate: 2}
  retry: null
  password: secret
`)
	t.Setenv("SERVICE_STOP", "5s")
	t.Setenv("SERVICE_DATABASE_RETRY_MAX_BACKOFF", "soon")
	_, err := loadConfig(path)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
	var told []string
	for line := range strings.Lines(strings.ReplaceAll(err.Error(), path, "service.yaml")) {
		told = append(told, strings.TrimSpace(line))
	}
	wanted := []string{
		`service.yaml:1:9: listen: `,
		`service.yaml:2:8: admin: "nowhere": must be host:port`,
		`service.yaml:3:14: stop_within: -1s: must be > 0`,
		`service.yaml:4:9: shared.replicas: 0: must be set`,
		`service.yaml:4:15: shared.url: must be such as redis://`,
		`service.yaml:4:71: shared.batch: -1`,
		`service.yaml:4:95: shared.breaker.cooldown: 3: a duration needs a unit`,
		`service.yaml:4:99: shared.addr: unknown field`,
		`service.yaml:6:19: inbound.deadline.max: 2: a duration needs a unit`,
		`service.yaml:7:23: inbound.rate_limit.limit: -5`,
		`service.yaml:8:10: inbound.shed.limt: unknown field; did you mean "limit"?`,
		`service.yaml:11:10: upstreams.prices.url: must be such as https://prices.internal/v2`,
		`service.yaml:12:33: upstreams.prices.calls.retry.multiplier: 0.5`,
		`service.yaml:12:48: upstreams.prices.calls.breaker: a key without a value`,
		`service.yaml:13:32: upstreams.prices.shared_rate_limit.limit: 0`,
		`service.yaml:14:10: upstreams.stock: `,
		`service.yaml:16:8: database.url: must be such as postgres://`,
		`service.yaml:17:33: database.pool.min_idle: 3`,
		`service.yaml:18:27: database.breaker.failure_rate: 2`,
		`service.yaml:19:10: database.retry: null: cannot be switched off`,
		`service.yaml:20:3: database.password: unknown field`,
		`environment variable SERVICE_DATABASE_RETRY_MAX_BACKOFF: database.retry.max_backoff: "soon"`,
		`environment variable SERVICE_STOP: unknown variable`,
	}
	require.Len(t, told, len(wanted), err)
	for i, want := range wanted {
		require.Contains(t, told[i], want)
	}
}

func TestFileThatIsNoConfigurationIsRefused(t *testing.T) {
	cases := []struct{ name, content, want string }{
		{"binary", "\x7fELF\x02\x01\x01\x00\xff\xfe", "UTF-8"},
		{"huge", "# " + strings.Repeat("x", 2<<20), "larger than"},
		{"huge and nested", strings.Repeat("[", 1<<19), ""},
		{"no YAML", "listen: [", ""},
		{"two documents", "listen: 127.0.0.1:1\n---\nlisten: 127.0.0.1:2\n", "one document"},
		{"a list", "- listen\n", "must be a mapping"},
		{"null", "null\n", "null"},
		{"null where something must be", "listen: null\n", "listen"},
		{"null for a part that is always on", "inbound: {shed: null}\n", "inbound.shed"},
		{"a key twice", "listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n", "listen"},
		{"a bomb", bomb(), ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := loadConfig(write(t, c.content))
			require.ErrorContains(t, err, c.want)
			require.Equal(t, defaults(), cfg, "left as it was")
			require.Less(t, len(err.Error()), 64<<10)
		})
	}
}

// bomb grows tenfold with each line.
func bomb() string {
	var b bytes.Buffer
	b.WriteString("a0: &a0 [x]\n")
	for i := '1'; i <= '9'; i++ {
		was := "*a" + string(i-1)
		b.WriteString("a" + string(i) + ": &a" + string(i) + " [" + strings.Repeat(was+", ", 9) + was + "]\n")
	}
	return b.String()
}

func TestMissingFileIsSaidToBe(t *testing.T) {
	_, err := loadConfig(filepath.Join(t.TempDir(), "nowhere.yaml"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = loadConfig(t.TempDir())
	require.Error(t, err, "a directory")
}

func TestUpstreamHasABaseURL(t *testing.T) {
	for _, url := range []string{"https://h?token=secret", "https://h/#secret", "ftp://h", "https:///secret", "secret", "https://h:secret"} {
		err := Upstream{URL: url}.Validate()
		require.ErrorContains(t, err, "url: must be such as https://prices.internal/v2", url)
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestSecretsAreNotRepeated(t *testing.T) {
	for variable, value := range map[string]string{
		"SERVICE_DATABASE":       "postgres://shop:secret@db/shop",
		"SERVICE_DATABASE_URL":   "postgres://shop:secret@db:port/shop",
		"SERVICE_DATABASE_URLS":  "postgres://shop:secret@db/shop",
		"SERVICE_DATABASE_POOL":  "postgres://shop:secret@db/shop",
		"SERVICE_SHARED":         "redis://:secret@redis",
		"SERVICE_SHARED_URL":     "redis://:secret@redis:6379/one",
		"SERVICE_SHARED_BREAKER": "secret",
	} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv(variable, value)
			_, err := loadConfig("service.yaml")
			require.ErrorContains(t, err, variable)
			require.NotContains(t, err.Error(), "secret")
		})
	}
	for _, url := range []string{
		"redis://:secret@redis:port", "redis://:sec/secret@redis", "redis://:secret%zz@redis", "http://:secret@redis",
		"redis:6379", "redis://:secret@redis?password=secret", "redis://:secret@redis/0?timeout=secret",
	} {
		err := Shared{URL: url}.Validate()
		require.ErrorContains(t, err, "url: must be such as redis://", url)
		require.NotContains(t, err.Error(), "secret", url)
	}
}
