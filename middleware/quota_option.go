package middleware

import (
	"net/http"

	"github.com/magnetar-go/magnetar/policy"
)

// WithQuota adds a quota beside the one that [RateLimit] is given, for the same
// key: so many a second, and so many a day. A request passes if all of them
// admit it, and only then counts under all of them. There may be eight in all.
// name tells them apart, see [WithName].
func WithQuota(name string, cfg policy.RateLimiterConfig) Option {
	return optionFunc(func(s *settings) {
		s.quota.more = append(s.quota.more, namedLimit{name, cfg})
	})
}

// WithName names the quota that [RateLimit] is given, in the RateLimit fields and
// in a shared store: up to 64 printable ASCII characters without quotes and
// backslashes. Default: "default"; a quota in a shared store must be named.
func WithName(name string) Option {
	return optionFunc(func(s *settings) { s.quota.name = name })
}

// WithWeight tells how many units of its quota a request takes. Zero is free and
// always passes, negative counts as zero; what weighs more than a full quota is
// refused and told nothing of trying again. Default: 1.
func WithWeight(f func(*http.Request) int) Option {
	return optionFunc(func(s *settings) { s.quota.weight = f })
}

// WithKeyRequired refuses requests without a key, with 429. Default: they are
// counted by the address of their peer, apart from those that have such an
// address for a key, and only refused if that is unknown, too.
func WithKeyRequired() Option {
	return optionFunc(func(s *settings) { s.quota.keyRequired = true })
}

// WithStore counts in a store that several servers share, such as that of the
// package policy/redis. There quotas of the same name count together, by key, and
// must be of the same size; so those of different routes need different names, see
// [WithName] and [WithQuota]. A store that fails, or takes more than 250 ms to answer,
// lets requests pass uncounted, and a decision says so; see [WithFailClosed]. What
// the store itself refuses, see [policy.Store], is answered with 503. Units are
// weighed to the microsecond: a limit above a million a second is one of a
// million. Default: counted in memory.
func WithStore(store policy.Store) Option {
	return optionFunc(func(s *settings) { s.quota.store = store })
}

// WithFailClosed refuses requests with 503 while the shared store fails.
func WithFailClosed() Option {
	return optionFunc(func(s *settings) { s.quota.failClosed = true })
}

// WithoutFields leaves out the header fields RateLimit-Policy and RateLimit.
func WithoutFields() Option {
	return optionFunc(func(s *settings) { s.quota.noFields = true })
}

// quotaSettings is what the options of a quota say.
type quotaSettings struct {
	name        string
	more        []namedLimit
	weight      func(*http.Request) int
	store       policy.Store
	keyRequired bool
	failClosed  bool
	noFields    bool
}

// namedLimit is a quota as the user wrote it.
type namedLimit struct {
	name string
	cfg  policy.RateLimiterConfig
}
