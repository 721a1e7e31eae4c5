package otel

// order is a list of lines, the one that was counted on last first.
type order struct {
	of             func(*entry) *links
	newest, oldest *entry
	len            int
}

// links are a line's neighbours in an order.
type links struct{ newer, older *entry }

func (o *order) push(n *entry) {
	*o.of(n) = links{older: o.newest}
	if o.newest == nil {
		o.oldest = n
	} else {
		o.of(o.newest).newer = n
	}
	o.newest = n
	o.len++
}

func (o *order) unlink(n *entry) {
	at := o.of(n)
	if at.newer == nil {
		o.newest = at.older
	} else {
		o.of(at.newer).older = at.older
	}
	if at.older == nil {
		o.oldest = at.newer
	} else {
		o.of(at.older).newer = at.newer
	}
	o.len--
}

// bringUp makes n the newest.
func (o *order) bringUp(n *entry) {
	if n != o.newest {
		o.unlink(n)
		o.push(n)
	}
}
