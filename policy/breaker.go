package policy

type epoch struct{}
