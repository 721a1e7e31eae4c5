package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/magnetar-go/magnetar/examples/s3/store"
	"github.com/magnetar-go/magnetar/transport"
)

// stage is a server, and a proxy before it that makes faults.
type stage struct {
	server  string // its URL
	kill    func()
	restart func()
	roots   *x509.CertPool
	proxy   *proxy
}

const bucket = "magnetar"

// newStage has a bucket ready.
func newStage(ctx context.Context, server string, cert tls.Certificate, roots *x509.CertPool) (*stage, error) {
	p, err := startProxy(ctx, server, cert, roots)
	if err != nil {
		return nil, err
	}
	s := &stage{server: server, roots: roots, proxy: p}
	c, err := s.client(s.server, store.Chain())
	if err == nil {
		defer func() { _ = c.Close() }()
		err = store.Outlast(ctx, func(ctx context.Context) error {
			_, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucket)})
			return err
		})
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return s, nil
}

// client is one whose breaker and budget know of nothing yet, and what it decides.
type client struct {
	*store.Store

	seen    *events
	resumed atomic.Int64 // GETs of downloads beyond one for each
}

func (s *stage) client(url string, chain transport.Config) (*client, error) {
	return s.clientOf(url, secretKey, chain)
}

func (s *stage) clientOf(url, secret string, chain transport.Config) (*client, error) {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.TLSClientConfig = &tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS12}
	base.ExpectContinueTimeout = 10 * time.Second // a slow machine must not send what is about to be refused
	cfg := aws.Config{
		Region:       region,
		Credentials:  credentials.NewStaticCredentialsProvider(accessKey, secret, ""),
		BaseEndpoint: aws.String(url),
	}
	seen := newEvents()
	st, err := store.New(cfg, chain, base, transport.WithObserver(seen))
	if err != nil {
		return nil, err
	}
	return &client{Store: st, seen: seen}, nil
}

// impatient is the recommended chain, with times short enough to be watched.
func impatient() transport.Config {
	chain := store.Chain()
	chain.Timeouts.Attempt = 2 * time.Second
	chain.Timeouts.BodyIdle = 2 * time.Second
	return chain
}
