package middleware

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// stand is what can stand in for a ResponseWriter, whatever interfaces that has;
// those of its methods that are not exported are called only where it has them.
type stand interface {
	http.ResponseWriter
	io.StringWriter
	Unwrap() http.ResponseWriter // for http.ResponseController
	flush() error
	hijack() (net.Conn, *bufio.ReadWriter, error)
	readFrom(io.Reader) (int64, error)
	push(string, *http.PushOptions) error
}

// standIn returns w with exactly those of Flusher, Hijacker, ReaderFrom and
// Pusher that the writer underneath has, so that upgrades and sendfile work as
// without it. Nothing is allocated when W is a pointer.
func standIn[W stand](w W) http.ResponseWriter {
	const f, h, r, p = 1, 2, 4, 8
	has := 0
	rw := w.Unwrap()
	if _, ok := rw.(http.Flusher); ok {
		has |= f
	}
	if _, ok := rw.(http.Hijacker); ok {
		has |= h
	}
	if _, ok := rw.(io.ReaderFrom); ok {
		has |= r
	}
	if _, ok := rw.(http.Pusher); ok {
		has |= p
	}
	k := kind[W]{w}
	switch has {
	case f:
		return kindF[W]{k}
	case h:
		return kindH[W]{k}
	case f | h:
		return kindFH[W]{kindF[W]{k}}
	case r:
		return kindR[W]{k}
	case f | r:
		return kindFR[W]{kindF[W]{k}}
	case h | r:
		return kindHR[W]{kindH[W]{k}}
	case f | h | r:
		return kindFHR[W]{kindFH[W]{kindF[W]{k}}}
	case p:
		return kindP[W]{k}
	case f | p:
		return kindFP[W]{kindF[W]{k}}
	case h | p:
		return kindHP[W]{kindH[W]{k}}
	case f | h | p:
		return kindFHP[W]{kindFH[W]{kindF[W]{k}}}
	case r | p:
		return kindRP[W]{kindR[W]{k}}
	case f | r | p:
		return kindFRP[W]{kindFR[W]{kindF[W]{k}}}
	case h | r | p:
		return kindHRP[W]{kindHR[W]{kindH[W]{k}}}
	case f | h | r | p:
		return kindFHRP[W]{kindFHR[W]{kindFH[W]{kindF[W]{k}}}}
	}
	return k
}

// The sixteen sets of F(lusher), H(ijacker), R(eaderFrom) and P(usher), each by
// one more than a smaller one. Each is one pointer in shape.
type (
	kind[W stand]     struct{ w W }
	kindF[W stand]    struct{ kind[W] }
	kindH[W stand]    struct{ kind[W] }
	kindFH[W stand]   struct{ kindF[W] }
	kindR[W stand]    struct{ kind[W] }
	kindFR[W stand]   struct{ kindF[W] }
	kindHR[W stand]   struct{ kindH[W] }
	kindFHR[W stand]  struct{ kindFH[W] }
	kindP[W stand]    struct{ kind[W] }
	kindFP[W stand]   struct{ kindF[W] }
	kindHP[W stand]   struct{ kindH[W] }
	kindFHP[W stand]  struct{ kindFH[W] }
	kindRP[W stand]   struct{ kindR[W] }
	kindFRP[W stand]  struct{ kindFR[W] }
	kindHRP[W stand]  struct{ kindHR[W] }
	kindFHRP[W stand] struct{ kindFHR[W] }
)

func (k kind[W]) self() W                           { return k.w }
func (k kind[W]) Header() http.Header               { return k.w.Header() }
func (k kind[W]) WriteHeader(status int)            { k.w.WriteHeader(status) }
func (k kind[W]) Write(p []byte) (int, error)       { return k.w.Write(p) }
func (k kind[W]) WriteString(s string) (int, error) { return k.w.WriteString(s) }
func (k kind[W]) Unwrap() http.ResponseWriter       { return k.w.Unwrap() }

func (k kindF[W]) Flush()            { _ = k.w.flush() }
func (k kindF[W]) FlushError() error { return k.w.flush() }

func (k kindH[W]) Hijack() (net.Conn, *bufio.ReadWriter, error)  { return k.w.hijack() }
func (k kindFH[W]) Hijack() (net.Conn, *bufio.ReadWriter, error) { return k.w.hijack() }

func (k kindR[W]) ReadFrom(src io.Reader) (int64, error)   { return k.w.readFrom(src) }
func (k kindFR[W]) ReadFrom(src io.Reader) (int64, error)  { return k.w.readFrom(src) }
func (k kindHR[W]) ReadFrom(src io.Reader) (int64, error)  { return k.w.readFrom(src) }
func (k kindFHR[W]) ReadFrom(src io.Reader) (int64, error) { return k.w.readFrom(src) }

func (k kindP[W]) Push(to string, o *http.PushOptions) error    { return k.w.push(to, o) }
func (k kindFP[W]) Push(to string, o *http.PushOptions) error   { return k.w.push(to, o) }
func (k kindHP[W]) Push(to string, o *http.PushOptions) error   { return k.w.push(to, o) }
func (k kindFHP[W]) Push(to string, o *http.PushOptions) error  { return k.w.push(to, o) }
func (k kindRP[W]) Push(to string, o *http.PushOptions) error   { return k.w.push(to, o) }
func (k kindFRP[W]) Push(to string, o *http.PushOptions) error  { return k.w.push(to, o) }
func (k kindHRP[W]) Push(to string, o *http.PushOptions) error  { return k.w.push(to, o) }
func (k kindFHRP[W]) Push(to string, o *http.PushOptions) error { return k.w.push(to, o) }
