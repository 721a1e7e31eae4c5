package contender

import (
	"context"
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/priority"
)

// Failsafe is failsafe-go's adaptive limiter in its own server handler.
func Failsafe(next http.Handler) http.Handler {
	return failsafehttp.NewHandler(next, adaptivelimiter.NewWithDefaults[*http.Response]())
}

// failsafeLevels tells failsafe-go's adaptive limiter which requests are
// critical. Its calibrations go on for as long as the program runs.
func failsafeLevels(next http.Handler) http.Handler {
	p := adaptivelimiter.NewPrioritizer()
	p.ScheduleCalibrations(context.Background(), 100*time.Millisecond)
	l := adaptivelimiter.NewBuilder[*http.Response]().BuildPrioritized(p)
	limited := failsafehttp.NewHandler(next, l)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		level := priority.Medium
		if critical(r) {
			level = priority.VeryHigh
		}
		limited.ServeHTTP(w, r.WithContext(level.AddTo(r.Context())))
	})
}
