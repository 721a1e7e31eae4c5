package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/magnetar-go/magnetar/otel"
)

func TestConfigReportsAllFaultsAtOnce(t *testing.T) {
	cfg := Default("postgres://127.0.0.1:port/shop?password=secret")
	cfg.Pool.MaxSize = -1
	cfg.Retry.Multiplier = 0.5
	cfg.RateLimit.Limit = -1
	cfg.Timeout = -1
	_, err := Open(cfg)
	for _, path := range []string{"url", "pool.max_size", "retry.multiplier", "rate_limit.limit", "timeout"} {
		require.ErrorContains(t, err, path)
	}
	require.NotContains(t, err.Error(), "secret")
	require.NoError(t, Default("postgres://127.0.0.1/shop").Validate())
}

func TestURLThatIsNoneIsNotRepeated(t *testing.T) {
	for _, url := range []string{
		"postgres://shop:secret@127.0.0.1/shop?sslrootcert=/no/such/file&sslmode=verify-full",
		"postgres://shop:secret@127.0.0.1:port/shop",
		"postgres://shop:secret/more@127.0.0.1/shop",
		"postgres://shop:secret%zz@127.0.0.1/shop",
		"postgres://shop:secret@[::1/shop",
		"postgres://127.0.0.1/shop?sslmode=maybe&password=secret",
		"redis://:secret@127.0.0.1:6379",
		"shop:secret@127.0.0.1:5432",
		"host=127.0.0.1 port=x password='secret' dbname=shop",
		"host=127.0.0.1 password='secret",
	} {
		_, err := Open(Config{URL: url})
		require.ErrorContains(t, err, "url: must be such as postgres://", url)
		require.NotContains(t, err.Error(), "secret", url)
	}
	_, err := Open(Config{})
	require.EqualError(t, err, "url: must not be empty") // not what the environment says
}

func TestTelemetryIsTheCallersUnlessGiven(t *testing.T) {
	for name, c := range map[string]struct {
		with         func(own *otel.Observer) []Option
		callers, own bool
	}{
		"default": {func(*otel.Observer) []Option { return nil }, true, false},
		"another": {func(own *otel.Observer) []Option { return []Option{WithTelemetry(own)} }, false, true},
		"none":    {func(*otel.Observer) []Option { return []Option{WithTelemetry(nil)} }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			callers, own := tracetest.NewInMemoryExporter(), tracetest.NewInMemoryExporter()
			ofCaller, ours := trace.NewTracerProvider(trace.WithSyncer(callers)), trace.NewTracerProvider(trace.WithSyncer(own))
			s := script(t, func(int, string) []pgproto3.BackendMessage { return nil })
			db := s.open(t, nil, c.with(otel.New(otel.WithTracerProvider(ours)))...)
			ctx, span := ofCaller.Tracer("caller").Start(t.Context(), "caller")
			defer span.End()
			_, err := Get(ctx, db, ask)
			require.NoError(t, err)
			require.Equal(t, c.callers, len(callers.GetSpans()) > 0)
			require.Equal(t, c.own, len(own.GetSpans()) > 0)
		})
	}
}
