package limit

// Fixed is bounds that stay as they are.
type Fixed Bounds

// Bounds implements [Algorithm].
func (f Fixed) Bounds() Bounds { return Bounds(f) }

// Learn implements [Algorithm]; there is nothing to learn.
func (Fixed) Learn(Sample) {}
