package main

import (
	"context"
	"strings"
)

// trouble is what the shop runs into, and where that is seen.
type trouble struct {
	says   string
	alerts []string
	row    string // of the dashboard
	begin  func(*stage) (over func())
}

// troubles are gone through in this order. Prices are flaky before they fail, for
// a breaker that is open lets too few calls through to use up a budget.
var troubles = []trouble{
	{"all is well", nil, "Overview", func(*stage) func() { return func() {} }},
	{
		"half of what prices answers is 503: retries use up their budget",
		[]string{"MagnetarRetryBudgetExhausted", "MagnetarOutboundErrors"}, "Retries", (*stage).flakyPrices,
	},
	{
		"all of what prices answers is 503: the breaker opens",
		[]string{"MagnetarBreakerOpen"}, "Breakers", (*stage).noPrices,
	},
	{
		"two of four replicas of stock fail: they are ejected",
		[]string{"MagnetarEndpointEjected", "MagnetarEndpointsHalfEjected"}, "Endpoints", (*stage).sickStock,
	},
	{
		"more orders than can be packed: the shop sheds",
		[]string{"MagnetarShedding", "MagnetarSheddingCritical"}, "Shedding", (*stage).rush,
	},
	{
		"the database is slow, and somebody keeps a session: the pool is exhausted",
		[]string{"MagnetarPoolExhausted", "MagnetarPoolSaturated", "MagnetarConnectionLeaked"}, "Pools", (*stage).slowDatabase,
	},
}

func (t trouble) String() string {
	if len(t.alerts) == 0 {
		return t.says
	}
	return t.says + "\n          → " + strings.Join(t.alerts, ", ") + "; row " + t.row
}

func (s *stage) flakyPrices() (over func()) {
	s.prices.turn(mood{fails: 0.5, hangs: 0.05})
	return func() { s.prices.turn(mood{}) }
}

func (s *stage) noPrices() (over func()) {
	s.prices.turn(mood{fails: 1})
	return func() { s.prices.turn(mood{}) }
}

func (s *stage) sickStock() (over func()) {
	sick := s.stock[:replicas/2]
	for _, one := range sick {
		one.turn(mood{fails: 1})
	}
	return func() {
		for _, one := range sick {
			one.turn(mood{})
		}
	}
}

func (s *stage) rush() (over func()) {
	s.customers.orders.rate.Store(rush)
	return func() { s.customers.orders.rate.Store(order) }
}

func (s *stage) slowDatabase() (over func()) {
	s.database.takes.Store(int64(slowly))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.database.forget(ctx)
	}()
	return func() {
		s.database.takes.Store(int64(quickly))
		cancel()
		<-ended
	}
}
