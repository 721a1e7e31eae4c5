//go:build linux

package nginx_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/magnetar-go/magnetar/examples/internal/daemon"
)

// protocol is one way to speak with nginx.
type protocol struct {
	name, scheme string
	listen       string // what follows the address
	says         string // the response's Proto
}

var protocols = []protocol{
	{"h1", "http", "", "HTTP/1.1"},
	{"h1+TLS", "https", " ssl", "HTTP/1.1"},
	{"h2", "https", " ssl http2", "HTTP/2.0"},
}

// Root's nginx would give its workers to another user, who could not read the
// directory; anybody else's ignores the first line.
const configuration = `user root;
daemon off;
worker_processes 2;
pid nginx.pid;
error_log stderr;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	keepalive_requests 100;
	keepalive_timeout 2s;
	ssl_certificate certificate.pem;
	ssl_certificate_key key.pem;
	server {
		listen %s%s;
		root www;
		dav_methods PUT;
		create_full_put_path on;
	}
}
`

var document = strings.Repeat("nginx", 4<<10)

// serve starts nginx and returns its URL. SIGHUP reloads it.
func serve(t *testing.T, p protocol, cert tls.Certificate) (*daemon.Daemon, string) {
	t.Helper()
	d := daemon.New(t, daemon.Program{Name: "nginx", Package: "nginx"})
	d.File("certificate.pem", encode("CERTIFICATE", cert.Certificate[0]))
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	require.NoError(t, err)
	d.File("key.pem", encode("PRIVATE KEY", key))
	d.Run("mkdir", "www")
	d.File("www/document", document)
	conf := d.File("nginx.conf", fmt.Sprintf(configuration, d.Address(), p.listen))
	d.Start("-p", d.Dir, "-c", conf)
	return d, p.scheme + "://" + d.Address()
}

func encode(kind string, der []byte) string {
	var b bytes.Buffer
	_ = pem.Encode(&b, &pem.Block{Type: kind, Bytes: der}) // a buffer takes all
	return b.String()
}
