package policy_test

import (
	"fmt"

	"github.com/magnetar-go/magnetar/policy"
)

func ExampleKeyed() {
	budgets := policy.NewKeyed(10_000,
		func(host string) *policy.Budget { return policy.NewBudget(policy.BudgetConfig{}) },
		(*policy.Budget).Idle)

	if budget, ok := budgets.Get("api.example.com"); ok {
		budget.Call()
		fmt.Println(budget.Take(), budgets.Len())
	}
	// Output: true 1
}
