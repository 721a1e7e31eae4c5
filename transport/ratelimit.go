package transport

// Row 6, the rate limit: inside the retries, for a quota counts tries.

func (a *attempt) admitRate() error {
	if l := a.call.state.limiter; l != nil {
		a.call.clock = 0
		_, err := l.Admit(a.call) // a token has nothing to give back
		return err
	}
	return nil
}
