package transport_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/policy"
	"github.com/magnetar-go/magnetar/transport"
)

// Frames of HTTP/2 (RFC 9113, section 6), as far as a server needs them that
// turns requests away.
const (
	frameData     = 0x0
	frameHeaders  = 0x1
	frameReset    = 0x3
	frameSettings = 0x4
	frameGoAway   = 0x7

	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4

	refusedStream = 0x7
)

func writeFrame(w io.Writer, kind, flags byte, stream uint32, payload ...byte) error {
	head := []byte{0, 0, byte(len(payload)), kind, flags, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(head[5:], stream)
	_, err := w.Write(append(head, payload...))
	return err
}

func readFrame(r io.Reader) (kind, flags byte, stream uint32, payload []byte, err error) {
	var head [9]byte
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return
	}
	payload = make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	_, err = io.ReadFull(r, payload)
	return head[3], head[4], binary.BigEndian.Uint32(head[5:]) &^ (1 << 31), payload, err
}

// turningAway is an HTTP/2 server that turns its first request away, and
// answers the others when it has all of their bodies.
type turningAway struct {
	turnAway func(conn io.Writer, stream uint32) error
	requests atomic.Int32
	got      atomic.Value // body of the request that was answered
}

func (s *turningAway) serve(conn net.Conn) {
	defer conn.Close()
	preface := make([]byte, 24)
	if _, err := io.ReadFull(conn, preface); err != nil {
		return
	}
	if writeFrame(conn, frameSettings, 0, 0) != nil {
		return
	}
	var away uint32
	var body []byte
	for {
		kind, flags, stream, payload, err := readFrame(conn)
		if err != nil {
			return
		}
		switch {
		case kind == frameSettings && flags&flagAck == 0:
			err = writeFrame(conn, frameSettings, flagAck, 0)
		case kind == frameHeaders && s.requests.Add(1) == 1:
			away = stream
			err = s.turnAway(conn, stream)
		case kind == frameData && stream != away:
			body = append(body, payload...)
			if flags&flagEndStream != 0 {
				s.got.Store(string(body))
				err = writeFrame(conn, frameHeaders, flagEndHeaders|flagEndStream, stream, 0x88) // :status 200
			}
		}
		if err != nil {
			return
		}
	}
}

// Trap 10, replays: those of net/http after a GOAWAY or a refused stream, which
// are safe for any method, still work through the chain, and are no retries of
// ours.
func TestTrap10ReplaysOfNetHTTPWorkThrough(t *testing.T) {
	for name, turnAway := range map[string]func(io.Writer, uint32) error{
		"GOAWAY": func(conn io.Writer, _ uint32) error {
			return writeFrame(conn, frameGoAway, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) // no stream was handled, no error
		},
		"REFUSED_STREAM": func(conn io.Writer, stream uint32) error {
			return writeFrame(conn, frameReset, 0, stream, 0, 0, 0, refusedStream)
		},
	} {
		for _, replay := range []string{"GetBody", "buffer"} {
			t.Run(name+", "+replay, func(t *testing.T) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				s := &turningAway{turnAway: turnAway}
				var serving sync.WaitGroup
				serving.Go(func() {
					for {
						conn, err := l.Accept()
						if err != nil {
							return
						}
						defer conn.Close()
						serving.Go(func() { s.serve(conn) })
					}
				})
				base := &http.Transport{Protocols: new(http.Protocols)}
				base.Protocols.SetUnencryptedHTTP2(true)
				defer func() {
					base.CloseIdleConnections()
					l.Close()
					serving.Wait()
				}()
				cfg := transport.Default()
				cfg.Concurrency = &policy.ConcurrencyConfig{Limit: 1}
				var seen decisions
				tr := transport.New(base, cfg, transport.WithObserver(&seen))
				req := request(t, http.MethodPost, "http://"+l.Addr().String(), strings.NewReader("order"))
				if replay == "buffer" {
					req.GetBody = nil
				}
				resp, err := tr.RoundTrip(req)
				require.NoError(t, err)
				content(t, resp)
				require.Equal(t, 200, resp.StatusCode)
				require.Equal(t, "order", s.got.Load())
				require.EqualValues(t, 2, s.requests.Load())
				require.Len(t, transport.Attempts(resp), 1)
				require.Empty(t, seen.of(policy.PolicyRetry, policy.ActionWait))
				requireGivenBack(t, tr)
			})
		}
	}
}
