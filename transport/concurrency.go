package transport

import (
	"net/http"
	"strings"

	"github.com/magnetar-go/magnetar/policy"
)

// Row 7, the concurrency limit: held to the end of the response body, that of
// an event stream to its headers, and free while a retry is waited for. The
// user's own gates follow it.

func (a *attempt) admitConcurrency() (err error) {
	if l := a.call.state.inFlight; l != nil {
		a.call.clock = 0
		a.inFlight, err = l.Admit(a.call)
	}
	return err
}

func (a *attempt) admitGates() error {
	for _, g := range a.call.t.gates {
		if err := a.ask(g); err != nil {
			return err
		}
	}
	return nil
}

// ask asks a gate of the user's, and keeps what there is to give back.
func (a *attempt) ask(g policy.Gate) error {
	a.call.clock = 0
	p, err := g.Admit(a.call)
	if err == nil && p != (policy.Permit{}) {
		a.gates = append(a.gates, p)
	}
	return err
}

// streaming frees the room of a response that may never end.
func (a *attempt) streaming(resp *http.Response) {
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		a.inFlight.Done(a, a.outcome)
	}
}
