package redislimit

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// However long the keys are, and whether or not somebody asks for them again.
func TestTurnsThatNobodyTookTakeNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := newTurns()
		key := strings.Repeat("tenant", 10_000)
		began := time.Now()
		for _, after := range []time.Duration{3 * time.Second, time.Second, 100 * time.Second, 50 * time.Second} {
			left.leave(key, turn{began.Add(after), 1})
		}
		one, ok := left.take(key, 1, time.Hour)
		require.True(t, ok)
		require.Equal(t, time.Second, one.at.Sub(began))
		_, ok = left.take("another", 1, time.Hour)
		require.False(t, ok)
		kept := func() (turns int) {
			for id, l := range left.keys.Range {
				require.Len(t, id, 22)
				l.mu.Lock()
				turns += cap(l.line)
				l.mu.Unlock()
			}
			return turns
		}
		require.NotZero(t, kept())
		time.Sleep(100 * time.Second)
		synctest.Wait()
		require.Zero(t, kept())
		left.leave(key, turn{time.Now().Add(time.Second), 1})
		time.Sleep(time.Second)
		synctest.Wait()
		require.Zero(t, kept(), "nor the next time")
	})
}
