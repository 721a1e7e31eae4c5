package store

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/magnetar-go/magnetar/policy"
)

// resume repeats what the transport cannot: an answer whose body has died.
var resume = policy.NewRetry(
	policy.RetryConfig{MaxRetries: 5, InitialBackoff: 100 * time.Millisecond, MaxBackoff: 5 * time.Second},
	policy.RetryIf(func(err error) bool {
		_, died := errors.AsType[*diedError](err)
		return died
	}))

// Download writes an object to w, such as a file, from its start and in order, and
// returns its size; what w had beyond that stays. When the body dies on the way it
// goes on from there, five times at most, and only within the same object: one that
// was replaced meanwhile is an error, PreconditionFailed, unless nothing of it is
// written yet. Where S3 tells the CRC-32 of the whole, it is checked. After an error
// it may be called again, with the same w: it begins anew. Options are those of each
// GetObject.
func (s *Store) Download(ctx context.Context, bucket, key string, w io.WriterAt, opts ...func(*s3.Options)) (int64, error) {
	d := &download{from: s.Client, opts: opts, bucket: bucket, key: key, to: w}
	if err := resume.Do(ctx, d.more); err != nil {
		return d.size, fmt.Errorf("download %s/%s, %d bytes done: %w", bucket, key, d.size, err)
	}
	if sum := d.checksum(); d.crc32 != "" && d.crc32 != sum {
		return d.size, fmt.Errorf("download %s/%s: its CRC-32 is %s, not %s", bucket, key, sum, d.crc32)
	}
	return d.size, nil
}

// download is how far one has come.
type download struct {
	from        *s3.Client
	opts        []func(*s3.Options)
	bucket, key string
	to          io.WriterAt
	size        int64
	etag        *string
	crc32       string // of the whole, as S3 tells it; empty if it does not
	sum         uint32 // of what there is
}

var errRange = errors.New("the server does not send the rest alone")

// more gets the rest.
func (d *download) more(ctx context.Context) error {
	in := &s3.GetObjectInput{Bucket: &d.bucket, Key: &d.key}
	if d.size > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", d.size))
		in.IfMatch = d.etag
	}
	out, err := d.from.GetObject(ctx, in, d.opts...)
	if err != nil {
		return err
	}
	defer out.Body.Close()
	if in.Range != nil && !strings.HasPrefix(aws.ToString(out.ContentRange), fmt.Sprintf("bytes %d-", d.size)) {
		return errRange
	}
	if in.Range == nil { // nothing is written yet, so it is whatever there is now
		d.etag, d.crc32 = out.ETag, ""
		if sum := aws.ToString(out.ChecksumCRC32); out.ChecksumType != types.ChecksumTypeComposite && !strings.Contains(sum, "-") {
			d.crc32 = sum // not one of its parts' sums, such as "…-3"
		}
	}
	source := &source{Reader: out.Body}
	n, err := io.Copy(d, source)
	whole := out.ContentLength != nil && n >= *out.ContentLength // then it is its content that is wrong
	switch {
	case source.err == nil || whole || ctx.Err() != nil:
		return err
	case d.size > 0 && aws.ToString(d.etag) == "":
		return fmt.Errorf("%w; without an ETag the rest may be another object's", source.err)
	default:
		return &diedError{source.err}
	}
}

func (d *download) Write(p []byte) (int, error) {
	n, err := d.to.WriteAt(p, d.size)
	d.size += int64(n)
	d.sum = crc32.Update(d.sum, crc32.IEEETable, p[:n])
	return n, err
}

func (d *download) checksum() string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, d.sum))
}

// source tells an error of the body from one of the writer.
type source struct {
	io.Reader

	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// diedError is what a body died of.
type diedError struct{ error }

func (e *diedError) Unwrap() error { return e.error }
