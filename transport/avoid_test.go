package transport_test

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// chooser is a base that goes to the first endpoint that a call has not tried.
func chooser(endpoints []string, went *[]string, answer func(endpoint string) int) http.RoundTripper {
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		avoid := policy.AvoidFromContext(req.Context())
		choice := endpoints[0]
		for _, e := range endpoints {
			if !avoid.Has(e) {
				choice = e
				break
			}
		}
		avoid.Add(choice)
		*went = append(*went, choice)
		return response(answer(choice), http.NoBody), nil
	})
}

func TestRetryGoesToAnotherEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var went []string
		base := chooser([]string{"a", "b", "c"}, &went, func(e string) int {
			if e == "c" {
				return 200
			}
			return 503
		})
		tr := transport.New(base, transport.Config{Retry: quick()})
		for range 2 { // calls share nothing
			went = nil
			resp, err := tr.RoundTrip(get(t))
			require.NoError(t, err)
			require.Equal(t, 200, resp.StatusCode)
			content(t, resp)
			require.Equal(t, []string{"a", "b", "c"}, went)
		}
	})
}

func TestCallersOwnAvoidIsKept(t *testing.T) {
	var went []string
	base := chooser([]string{"a", "b"}, &went, func(string) int { return 200 })
	tr := transport.New(base, transport.Default())
	var own policy.Avoid
	own.Add("a")
	req := get(t)
	resp, err := tr.RoundTrip(req.WithContext(policy.ContextWithAvoid(req.Context(), &own)))
	require.NoError(t, err)
	content(t, resp)
	require.Equal(t, []string{"b"}, went)
	require.True(t, own.Has("b"))
}
