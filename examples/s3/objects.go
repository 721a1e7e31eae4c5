package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	mebibyte = 1 << 20
	large    = 64 * mebibyte
)

// content is size bytes that differ with the seed.
func content(seed string, size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(seed))).Read(b) // it never fails
	return b
}

// put writes an object that no other key has.
func (c *client) put(ctx context.Context, key string, size int) error {
	_, err := c.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader(content(key, size)),
	})
	return err
}

// putLarge writes one of 64 MiB from a file.
func (c *client) putLarge(ctx context.Context, key string) error {
	f, err := os.CreateTemp("", "magnetar-s3-")
	if err != nil {
		return err
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
	if _, err := f.Write(content(key, large)); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err = c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: f})
	return err
}

// get reads it in one go, and checks it.
func (c *client) get(ctx context.Context, key string, size int) error {
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, out.Body); err != nil {
		return err
	}
	return right(sum, key, size)
}

// download reads it in as many goes as it takes, and checks it.
func (c *client) download(ctx context.Context, key string, size int) error {
	sum := &digest{Hash: sha256.New()}
	c.resumed.Add(-1)
	if _, err := c.Download(ctx, bucket, key, sum, func(*s3.Options) { c.resumed.Add(1) }); err != nil {
		return err
	}
	return right(sum, key, size)
}

// digest is of what is written to it in order.
type digest struct {
	hash.Hash

	size int64
}

func (d *digest) WriteAt(p []byte, at int64) (int, error) {
	if at != d.size {
		return 0, fmt.Errorf("%w: %d bytes at %d, where %d were written", errWrong, len(p), at, d.size)
	}
	d.size += int64(len(p))
	return d.Write(p)
}

var errWrong = errors.New("what was read is not what was written")

func right(sum hash.Hash, key string, size int) error {
	if want := sha256.Sum256(content(key, size)); !bytes.Equal(sum.Sum(nil), want[:]) {
		return fmt.Errorf("%s: %w", key, errWrong)
	}
	return nil
}

func (c *client) head(ctx context.Context, key string, size int) error {
	out, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: &key})
	if err == nil && aws.ToInt64(out.ContentLength) != int64(size) {
		err = fmt.Errorf("%s: %w", key, errWrong)
	}
	return err
}

// list returns the keys with a prefix.
func (c *client) list(ctx context.Context, prefix string) (keys []string, err error) {
	pages := s3.NewListObjectsV2Paginator(c.Client, &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, object := range page.Contents {
			keys = append(keys, *object.Key)
		}
	}
	return keys, nil
}

func (c *client) remove(ctx context.Context, key string) error {
	_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key})
	return err
}

// partSize is the least that S3 takes of all parts but the last.
const partSize = 5 * mebibyte

// multipart writes an object of some size in parts.
func (c *client) multipart(ctx context.Context, key string, size int) error {
	made, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
	})
	if err != nil {
		return err
	}
	whole := content(key, size)
	var parts []types.CompletedPart
	for number := int32(1); len(whole) > 0; number++ {
		n := min(partSize, len(whole))
		out, err := c.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: aws.String(bucket), Key: &key, UploadId: made.UploadId, PartNumber: &number,
			Body: bytes.NewReader(whole[:n]), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
		})
		if err != nil {
			return err
		}
		whole = whole[n:]
		parts = append(parts, types.CompletedPart{ETag: out.ETag, PartNumber: &number, ChecksumCRC32: out.ChecksumCRC32})
	}
	_, err = c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &key, UploadId: made.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	return err
}
