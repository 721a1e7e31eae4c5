package overload

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOverload(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes the processors that the load needs")
	}
	if !testing.Verbose() {
		short(t)
		return
	}
	began := time.Now()
	fmt.Printf("unloaded: p99 %v\n", ms(unloaded()))
	for _, s := range scenarios {
		fmt.Printf("%3.0f s  %s\n", time.Since(began).Seconds(), s.name)
		outcomes := s.run(s.contenders(), func(o outcome) {
			fmt.Printf("%3.0f s    %s: %.3f\n", time.Since(began).Seconds(), o.contender, o.goodput)
		})
		report(s, outcomes)
		t.Run(s.name, func(t *testing.T) { s.hold(t, outcomes[0]) })
	}
}

// short is the kit alone in the scenarios that say most, all at once.
func short(t *testing.T) {
	t.Helper()
	outcomes := make(map[string]chan outcome)
	for _, s := range scenarios {
		if s.load > 3 || s.slow == 4 {
			continue
		}
		one := make(chan outcome, 1)
		outcomes[s.name] = one
		go func() { one <- s.measure(s.contenders()[0]) }()
	}
	for _, s := range scenarios {
		if one, ok := outcomes[s.name]; ok {
			o := <-one
			t.Run(s.name, func(t *testing.T) { s.hold(t, o) })
		}
	}
}

// hold asserts what even a busy machine allows. What is to be reached is in the
// table.
func (s scenario) hold(t *testing.T, kit outcome) {
	t.Helper()
	if kit.capacity < 0.9*kit.nominal {
		t.Skipf("the machine is too busy: its timers are so late that the resource can do %.0f/s instead of %.0f", kit.capacity, kit.nominal)
	}
	require.GreaterOrEqual(t, kit.goodput, s.floor, "goodput of %s", kit.contender)
	if s.critical > 0 {
		require.GreaterOrEqual(t, kit.critical.answered, 0.9, "critical requests answered")
	}
}

// unloaded is the 99th percentile of requests that come one by one to an
// unguarded resource.
func unloaded() time.Duration {
	server := httptest.NewServer(newResource())
	defer server.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	all := make([]request, 100)
	for i := range all {
		all[i].send(&http.Client{Transport: base}, server.URL)
	}
	return tallyOf(all, func(request) bool { return true }).p99
}
