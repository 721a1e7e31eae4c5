package store

import (
	"cmp"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/pool"
	"github.com/magnetar-go/magnetar/transport"
)

// Store is an S3 client, and what its calls go through.
type Store struct {
	*s3.Client

	// HTTP is for URLs that were presigned: with the same connections, breaker
	// and budget.
	HTTP *http.Client

	connections *pool.Transport
}

// New makes a client of cfg, which needs a Region, Credentials and, for what is
// not AWS, a BaseEndpoint; buckets are then part of the path. Connections get the
// settings of base; nil is [http.DefaultTransport]. Close ends them.
func New(cfg aws.Config, chain transport.Config, base *http.Transport, opts ...transport.Option) (*Store, error) {
	var settings []pool.TransportOption
	if base != nil {
		settings = append(settings, pool.WithBase(base))
	}
	connections, err := pool.NewTransport(pool.DefaultTransport(), settings...)
	if err != nil {
		return nil, err
	}
	s := over(connections, cfg, chain, opts...)
	s.connections = connections
	return s, nil
}

func over(base http.RoundTripper, cfg aws.Config, chain transport.Config, opts ...transport.Option) *Store {
	opts = append([]transport.Option{transport.WithSigner(sign), transport.WithClassifier(verdict)}, opts...)
	client := &http.Client{Transport: transport.New(base, chain, opts...), CheckRedirect: stay}
	return &Store{
		Client: s3.NewFromConfig(cfg, func(o *s3.Options) {
			o.HTTPClient = client
			o.Retryer = aws.NopRetryer{}
			o.RequestChecksumCalculation = cmp.Or(o.RequestChecksumCalculation, aws.RequestChecksumCalculationWhenSupported)
			o.ResponseChecksumValidation = cmp.Or(o.ResponseChecksumValidation, aws.ResponseChecksumValidationWhenSupported)
			o.UsePathStyle = cfg.BaseEndpoint != nil
			o.APIOptions = append(o.APIOptions, prepareEachTry, allowRetries)
		}),
		HTTP: client,
	}
}

// Close ends the connections of calls that have ended, and of others when they
// have.
func (s *Store) Close() error { return s.connections.Close() }

// Chain is the recommended one. No timeout cuts what moves, be it up or down;
// what does not is cut: after 10 s before the answer, and 30 s within.
func Chain() transport.Config {
	chain := transport.Default()
	chain.Timeouts.BodyIdle = 30 * time.Second // an object is no stream that may be quiet
	return chain
}

// verdict repeats a 500 also for PUT and DELETE: S3 asks for it, and what it
// reports so has not been done.
func verdict(resp *http.Response, _ error, v transport.Verdict) transport.Verdict {
	if resp != nil && resp.StatusCode == http.StatusInternalServerError {
		v.Retry = policy.ReasonStatus
	}
	return v
}

// stay makes a redirect the answer: the signature names the host.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
