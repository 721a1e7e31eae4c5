package redislimit

import "context"

// ContextWithWeight makes what is done in the context take n units of a [Limiter]
// each time that it is asked, so each try of a call anew. Zero is free: it passes,
// and Redis is not asked; negative counts as zero. More than the limit takes as many
// turns in a row, and passes when the last of them has come; what would wait for
// longer than MaxWait even if nobody else did is refused at once, and told nothing of
// trying again. Default: 1.
func ContextWithWeight(ctx context.Context, n int) context.Context {
	return context.WithValue(ctx, weightKey{}, max(0, n))
}

type weightKey struct{}

func weightOf(ctx context.Context) int {
	if n, ok := ctx.Value(weightKey{}).(int); ok {
		return n
	}
	return 1
}
