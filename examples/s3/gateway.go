package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
)

// The server's only user.
const (
	accessKey = "magnetar"
	secretKey = "not-a-secret"
	region    = "us-east-1"
)

// gatewayArguments have it keep objects as files under a directory, which must
// have the directories objects and metadata.
func gatewayArguments(address, dir string) []string {
	return []string{
		"--port", address, "--access", accessKey, "--secret", secretKey, "--region", region, "--keep-alive", "--quiet",
		"--cert", filepath.Join(dir, certificateFile), "--key", filepath.Join(dir, keyFile),
		"posix", "--sidecar", filepath.Join(dir, "metadata"), filepath.Join(dir, "objects"),
	}
}

const (
	certificateFile = "certificate.pem"
	keyFile         = "key.pem"
)

// encode writes a certificate and its key as files have them.
func encode(cert tls.Certificate) (certificate, key string, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return "", "", err
	}
	block := func(kind string, content []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
	}
	return block("CERTIFICATE", cert.Certificate[0]), block("PRIVATE KEY", der), nil
}
