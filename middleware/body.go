package middleware

// body is an exchange seen as the request body. What waits in Read is the
// client's time, not the handler's.
type body exchange

func (b *body) Read(p []byte) (int, error) {
	x := (*exchange)(b)
	x.block()
	defer x.unblock()
	return x.rc.Read(p)
}

func (b *body) Close() error { return b.rc.Close() }
