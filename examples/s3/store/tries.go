package store

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// tries is one call of the SDK's, and all that it takes to prepare it again.
type tries struct {
	ctx     context.Context
	request *smithyhttp.Request // before its body is encoded and it is signed
	next    middleware.FinalizeHandler
	body    *io.SectionReader // nil: there is none, or it can be read but once
	once    bool              // it can be read but once
	signed  bool              // the first try was
	last    io.Closer         // the body of the last retry; nil: there was none
	header  http.Header       // prepared for the next try, along with its body; or nil
}

// preparation takes the place of [tries] in the context while a request is
// prepared that the SDK is not to send.
type preparation struct{ request *smithyhttp.Request }

type triesKey struct{}

var errPrepared = errors.New("prepared, not to be sent")

// prepareEachTry adds to the SDK's middleware what it takes to run the part of
// it again that prepares a try.
func prepareEachTry(stack *middleware.Stack) error {
	const sdkRetry = "Retry"
	if _, sends := stack.Finalize.Get(sdkRetry); !sends {
		return nil // a URL is presigned
	}
	err := stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("magnetar:Begin", begin), sdkRetry, middleware.After)
	if err != nil {
		return err
	}
	return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("magnetar:Prepared", prepared), middleware.After)
}

// begin is where a retry of the SDK's own would begin.
func begin(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	middleware.FinalizeOutput, middleware.Metadata, error,
) {
	if req, ok := in.Request.(*smithyhttp.Request); ok {
		t := &tries{request: req.Clone(), next: next}
		if err := t.look(req); err != nil {
			return middleware.FinalizeOutput{}, middleware.Metadata{}, err
		}
		ctx = context.WithValue(ctx, triesKey{}, t)
		t.ctx = ctx
	}
	return next.HandleFinalize(ctx, in)
}

// look finds out whether the body can be read more than once, and independently
// of a try that still reads it: to seek is not enough.
func (t *tries) look(req *smithyhttp.Request) error {
	stream := req.GetStream()
	if stream == nil {
		return nil
	}
	source, ok := stream.(interface {
		io.ReaderAt
		io.Seeker
	})
	size, known, err := req.StreamLength()
	if !ok || !known || err != nil {
		t.once = true
		return err
	}
	start, err := source.Seek(0, io.SeekCurrent)
	t.body = io.NewSectionReader(source, start, size)
	return err
}

// prepared is where the SDK sends the request: encoded and signed.
func prepared(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	middleware.FinalizeOutput, middleware.Metadata, error,
) {
	req, ok := in.Request.(*smithyhttp.Request)
	if !ok {
		return next.HandleFinalize(ctx, in)
	}
	switch at := ctx.Value(triesKey{}).(type) {
	case *preparation:
		at.request = req
		return middleware.FinalizeOutput{}, middleware.Metadata{}, errPrepared
	case *tries:
		// Only then does net/http wait for the 100 Continue that the SDK asks for.
		req.Proto, req.ProtoMajor, req.ProtoMinor = "HTTP/1.1", 1, 1
		if at.body != nil {
			return at.send(ctx, req, next)
		}
	}
	return next.HandleFinalize(ctx, in)
}

// send reads the first try's body to its end where a retry was answered in its
// place: only there does the SDK find the checksum that it wants to report.
func (t *tries) send(ctx context.Context, req *smithyhttp.Request, next middleware.FinalizeHandler) (
	middleware.FinalizeOutput, middleware.Metadata, error,
) {
	req.GetBody = t.again
	out, metadata, err := next.HandleFinalize(ctx, middleware.FinalizeInput{Request: req})
	if t.last != nil {
		_ = t.last.Close()
		if err == nil {
			_, err = io.Copy(io.Discard, req.GetStream()) // which net/http no longer reads
		}
	}
	return out, metadata, err
}

// again is GetBody of the request: the body for a retry, as the SDK encodes it.
// What it signs goes with it.
func (t *tries) again() (io.ReadCloser, error) {
	req, err := t.prepare()
	if err != nil {
		return nil, err
	}
	body := req.Build(t.ctx).Body // reading it ends with its Close
	t.header, t.last = req.Header, body
	return body, nil
}

func (t *tries) prepare() (*smithyhttp.Request, error) {
	req := t.request.Clone()
	if t.body != nil {
		var err error
		req, err = req.SetStream(io.NewSectionReader(t.body, 0, t.body.Size()))
		if err != nil {
			return nil, err
		}
	}
	p := &preparation{}
	_, _, err := t.next.HandleFinalize(context.WithValue(t.ctx, triesKey{}, p), middleware.FinalizeInput{Request: req})
	if p.request == nil {
		return nil, err
	}
	return p.request, nil
}

// sign gives every try but the first, which the SDK has just signed, a signature
// of its own. What has none in its headers, such as a presigned URL, is left
// alone.
func sign(req *http.Request) error {
	t, ok := req.Context().Value(triesKey{}).(*tries)
	switch {
	case !ok || t.once:
		return nil
	case !t.signed:
		t.signed = true
		return nil
	case t.header == nil:
		again, err := t.prepare()
		if err != nil {
			return err
		}
		t.header = again.Header
	}
	maps.Copy(req.Header, t.header)
	t.header = nil
	return nil
}
