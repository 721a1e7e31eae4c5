package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-chi/chi/v5"

	shed "github.com/magnetar-go/magnetar/middleware"
	"github.com/magnetar-go/magnetar/policy"
)

func ExampleShed() {
	r := chi.NewRouter()
	r.Use(shed.Shed(policy.ConcurrencyConfig{})) // finds its limit by itself
	r.Get("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })

	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code, w.Body)
	// Output: 200 hello
}

func ExampleNewShedder() {
	s, err := shed.NewShedder(policy.ConcurrencyConfig{Limit: 200, MaxQueue: 50},
		shed.WithHealth(func(r *http.Request) bool { return r.URL.Path == "/-/ready" }),
		shed.WithStream(func(r *http.Request) bool { return r.URL.Path == "/events" }),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	h := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		st := s.Stats()
		fmt.Println(st.Main.InFlight, "of", st.Main.Limit, "in flight")
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))

	// When the server is told to stop, before http.Server.Shutdown:
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(s.Drain(ctx))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code, w.Header().Get("Connection"))
	// Output:
	// 1 of 200 in flight
	// <nil>
	// 503 close
}
