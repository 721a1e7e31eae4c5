package generation

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExchangeCostsTwoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations differ under -race")
	}
	u := newUpstream(t, "h1", echo)
	base := u.base()
	s := New(Config{Base: base, Address: u.address()})
	defer func() { require.NoError(t, closeSet(s)) }()
	defer base.CloseIdleConnections()

	plain, ours := roundTripAllocs(u.URL, base), roundTripAllocs(u.URL, tripper{s, new(ledger)})
	require.LessOrEqual(t, ours-plain, 2.5, "plain %.1f, ours %.1f", plain, ours) // the server's vary
}

func roundTripAllocs(url string, rt http.RoundTripper) float64 {
	req, _ := http.NewRequest(http.MethodGet, url, nil)
	return testing.AllocsPerRun(2000, func() { trip(rt, req) })
}

func trip(rt http.RoundTripper, req *http.Request) {
	resp, err := rt.RoundTrip(req)
	if err != nil {
		panic(err)
	}
	resp.Body.Close()
}
