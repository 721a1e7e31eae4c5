package waterfall_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/waterfall"
)

func TestColoursAreToldApartFromWhatTheyStandOn(t *testing.T) {
	for name, th := range map[string]waterfall.Theme{"light": waterfall.Light, "dark": waterfall.Dark} {
		for _, behind := range []string{th.Background, th.Band} {
			for _, text := range []string{th.Text, th.Muted, th.Failed, th.Resend} {
				require.GreaterOrEqual(t, contrast(t, text, behind), 4.5, "%s: %s on %s", name, text, behind)
			}
			for _, bar := range []string{th.Call, th.Try, th.Server, th.Other, th.Decision, th.Failed} {
				require.GreaterOrEqual(t, contrast(t, bar, behind), 3., "%s: %s on %s", name, bar, behind)
			}
		}
		require.GreaterOrEqual(t, contrast(t, th.Stripe, th.Failed), 3., name)
	}
}

// contrast is that of WCAG 2.2.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	var rgb [3]uint8
	_, err := fmt.Sscanf(colour, "#%02x%02x%02x", &rgb[0], &rgb[1], &rgb[2])
	require.NoError(t, err)
	var l float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		c := float64(rgb[i]) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		l += weight * c
	}
	return l
}
