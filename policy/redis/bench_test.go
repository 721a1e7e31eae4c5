package redislimit_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// BenchmarkTake is what a call costs beside the way to Redis and back, there and
// while it is away.
func BenchmarkTake(b *testing.B) {
	for _, away := range []struct {
		name string
		err  error
	}{{"answered", nil}, {"away", answeredError("LOADING")}} {
		b.Run(away.name, func(b *testing.B) {
			f := &fakeRedis{tats: map[string]int64{}, knows: true, err: away.err}
			client := redis.NewClient(&redis.Options{Addr: "192.0.2.1:6379"})
			defer client.Close()
			client.AddHook(f)
			s, err := redislimit.NewStore(client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 4})
			require.NoError(b, err)
			limits := perSecond(100)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Take(b.Context(), "alice", 1, limits); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
