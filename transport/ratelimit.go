package transport

// Row 6, the rate limit: inside the retries, for a quota counts tries. The key's
// own comes first: what it refuses costs those who share the other one nothing.

func (a *attempt) admitRate() error {
	if l := a.call.state.limiter; l != nil {
		a.call.clock = 0
		if _, err := l.Admit(a.call); err != nil { // a token has nothing to give back
			return err
		}
	}
	if g := a.call.state.rate; g != nil {
		return a.ask(g)
	}
	return nil
}
