package policy_test

import (
	"context"
	"fmt"
	"hash/maphash"

	"github.com/magnetar-go/magnetar/policy"
)

func ExampleContextWithPriority() {
	ctx := policy.ContextWithPriority(context.Background(), policy.Critical)
	fmt.Println(policy.PriorityFromContext(ctx))
	fmt.Println(policy.PriorityFromContext(context.Background()))
	// Output:
	// critical
	// normal
}

func ExampleContextWithCohort() {
	seed := maphash.MakeSeed() // one for the life of the program
	ctx := policy.ContextWithCohort(context.Background(), maphash.String(seed, "user 42"))

	cohort, ok := policy.CohortFromContext(ctx)
	fmt.Println(cohort == maphash.String(seed, "user 42"), ok)
	// Output: true true
}

func ExampleContextWithStanding() {
	ctx := policy.ContextWithStanding(context.Background(), policy.Low, 42)
	cohort, _ := policy.CohortFromContext(ctx)
	fmt.Println(policy.PriorityFromContext(ctx), cohort)
	// Output: low 42
}

func ExampleParsePriority() {
	p, err := policy.ParsePriority("bulk")
	fmt.Println(p, err)
	_, err = policy.ParsePriority("urgent")
	fmt.Println(err)
	// Output:
	// bulk <nil>
	// priority "urgent": must be one of bulk, low, normal, critical
}
