package policy_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/magnetar-go/magnetar/policy"
)

func ExampleNewTimeout() {
	timeout := policy.NewTimeout(20 * time.Millisecond)
	err := timeout.Do(context.Background(), func(ctx context.Context) error {
		<-ctx.Done() // such as a query that takes too long
		return ctx.Err()
	})
	fmt.Println(err)
	fmt.Println(errors.Is(err, policy.ErrTimeout))
	// Output:
	// magnetar: local timeout by timeout: timeout (timeout): took longer than 20ms
	// true
}
