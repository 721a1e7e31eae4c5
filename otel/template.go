package otel

import "context"

type templateKey struct{}

// ContextWithURLTemplate returns a context whose tries are named by template,
// such as "/users/{id}": it becomes part of the span's name and the attribute
// url.template of spans and metrics. It must be of low cardinality, so never a
// path with its values.
func ContextWithURLTemplate(ctx context.Context, template string) context.Context {
	return context.WithValue(ctx, templateKey{}, template)
}

func urlTemplate(ctx context.Context) string {
	template, _ := ctx.Value(templateKey{}).(string)
	return template
}
