package benchmarks

import (
	"io"
	"net/http"
)

// stub is a base RoundTripper that costs one allocation: an answer with its
// body. It reads and closes the request body, as a base must.
type stub struct{ status int }

type answer struct {
	http.Response
	read bool
}

var noHeader = http.Header{}

func (s stub) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		swallow(req.Body)
	}
	a := &answer{Response: http.Response{
		Status: "", StatusCode: s.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: noHeader, ContentLength: int64(len(content)), Request: req,
	}}
	a.Body = (*answerBody)(a)
	return &a.Response, nil
}

const content = "ok"

type answerBody answer

func (b *answerBody) Read(p []byte) (int, error) {
	if b.read {
		return 0, io.EOF
	}
	b.read = true
	return copy(p, content), nil
}

func (b *answerBody) Close() error { return nil }

// swallow reads body to its end and closes it. io.Discard keeps its buffers.
func swallow(body io.ReadCloser) {
	_, _ = io.Discard.(io.ReaderFrom).ReadFrom(body)
	_ = body.Close()
}
