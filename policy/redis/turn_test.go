package redislimit_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	redislimit "github.com/magnetar-go/magnetar/policy/redis"
)

// passes are when callers passed, since the first was awaited.
type passes struct {
	began time.Time

	mu sync.Mutex
	at []time.Duration
}

func (p *passes) pass() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = append(p.at, time.Since(p.began))
}

// mostWithin is the most that passed within any period of that length.
func (p *passes) mostWithin(d time.Duration) (most int) {
	slices.Sort(p.at)
	first := 0
	for i := range p.at {
		for p.at[i]-p.at[first] >= d {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// Turns in the middle of the line that are left go to the next who come, the first
// one first, and nobody else's turn is given away.
func TestTurnThatIsLeftGoesToTheNextThatComes(t *testing.T) {
	for _, down := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f, client := newFake(t)
			if down {
				f.err = answeredError("LOADING")
			}
			s := newStore(t, client, redislimit.Config{OnFailure: redislimit.Local, Replicas: 1})
			l := newLimiter(t, s, policy.RateLimiterConfig{Limit: 1})
			_, err := l.Admit(t.Context())
			require.NoError(t, err)
			gone, leave := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					_, err := l.Admit(gone)
					require.ErrorIs(t, err, context.Canceled)
				})
			}
			synctest.Wait()
			p := passes{began: time.Now()}
			admit := func() {
				_, err := l.Admit(t.Context())
				require.NoError(t, err)
				p.pass()
			}
			for range 10 {
				wg.Go(admit)
			}
			synctest.Wait()
			leave()
			synctest.Wait()
			asked := len(f.asked())
			for range 4 {
				wg.Go(admit)
			}
			synctest.Wait()
			require.Len(t, f.asked(), asked, "Redis knows of these turns")
			wg.Go(admit)
			wg.Wait()
			require.Len(t, p.at, 15)
			require.Equal(t, 15*time.Second, time.Since(p.began))
			require.Equal(t, 1, p.mostWithin(time.Second))
		})
	}
}

// Nor do they come at once where more come than may pass, and all lose patience.
func TestLineOfTheImpatientKeepsTheLimit(t *testing.T) {
	for name, cfg := range map[string]redislimit.Config{
		"Redis": {}, "local": {OnFailure: redislimit.Local, Replicas: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, client := newFake(t)
				if cfg.OnFailure == redislimit.Local {
					f.err = answeredError("LOADING")
				}
				l := newLimiter(t, newStore(t, client, cfg), policy.RateLimiterConfig{Limit: 10})
				p := passes{began: time.Now()}
				var wg sync.WaitGroup
				for range 60 * 20 {
					wg.Go(func() {
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						defer time.AfterFunc(5*time.Second, cancel).Stop()
						if _, err := l.Admit(ctx); err == nil {
							p.pass()
						}
					})
					time.Sleep(50 * time.Millisecond)
				}
				wg.Wait()
				require.LessOrEqual(t, p.mostWithin(time.Second), 20)
				require.LessOrEqual(t, p.mostWithin(20*time.Second), 210)
				require.GreaterOrEqual(t, len(p.at), 590, "nor is one lost")
			})
		})
	}
}

// A turn that nobody took in time is nobody's, and each key's are its own.
func TestTurnThatIsLeftIsUnusedIfNobodyComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client := newFake(t)
		l := newLimiter(t, newStore(t, client, redislimit.Config{}), policy.RateLimiterConfig{Limit: 1})
		gate := l.ForKey("alice")
		_, err := gate.Admit(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(500*time.Millisecond, cancel)
		_, err = gate.Admit(ctx)
		require.ErrorIs(t, err, context.Canceled)
		began := time.Now()
		_, err = l.ForKey("bob").Admit(t.Context())
		require.NoError(t, err)
		require.Zero(t, time.Since(began), "he waits for nobody else's turn")
		time.Sleep(time.Second)
		_, err = gate.Admit(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1500*time.Millisecond, time.Since(began))
	})
}
