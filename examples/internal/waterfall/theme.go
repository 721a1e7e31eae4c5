package waterfall

// Theme is the colours of a drawing, as "#rrggbb". Those of texts have a
// contrast of at least 4.5 to 1 to what they stand on, those of bars 3 to 1.
type Theme struct {
	Background, Band  string // the band is behind every other row
	Text, Muted       string
	Grid, Tree        string
	Call, Try, Server string
	Other             string
	Decision          string
	Failed, Stripe    string
	Resend            string
}

// The themes are for pages of GitHub's colours.
var (
	Light = Theme{
		Background: "#ffffff", Band: "#f6f8fa", Text: "#1f2328", Muted: "#59636e", Grid: "#d1d9e0", Tree: "#818b98",
		Call: "#0969da", Try: "#1a7f37", Server: "#8250df", Other: "#59636e", Decision: "#9a6700",
		Failed: "#cf222e", Stripe: "#ffcecb", Resend: "#0969da",
	}
	Dark = Theme{
		Background: "#0d1117", Band: "#151b23", Text: "#f0f6fc", Muted: "#9198a1", Grid: "#3d444d", Tree: "#656c76",
		Call: "#4493f8", Try: "#3fb950", Server: "#ab7df8", Other: "#9198a1", Decision: "#d29922",
		Failed: "#f85149", Stripe: "#5d0f12", Resend: "#4493f8",
	}
)

func (t Theme) of(k kind) string {
	switch k {
	case call:
		return t.Call
	case try:
		return t.Try
	case server:
		return t.Server
	case wait, instant:
		return t.Decision
	case failed:
		return t.Failed
	}
	return t.Other
}
