// Package pki makes the certificates and tokens of one cluster: a certificate authority that lives
// in memory for as long as it signs, the files that the API server and the kubelet take, and one
// bearer token per identity.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// validity is far longer than any cluster of this program lives.
const validity = 30 * 24 * time.Hour

// Authority signs certificates into a directory.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority writes NAME.crt of a new certificate authority into dir.
func NewAuthority(dir, name string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of certificates: %w", err)
	}
	a := &Authority{dir: dir}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	key, cert, err := a.write(name, template)
	if err != nil {
		return nil, err
	}
	a.key, a.cert = key, cert
	return a, os.Remove(filepath.Join(dir, name+".key"))
}

// Issue writes FILE.crt and FILE.key for a common name, a group and the hosts it serves as.
func (a *Authority) Issue(file, commonName, group string, hosts ...string) error {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: commonName},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if group != "" {
		template.Subject.Organization = []string{group}
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	_, _, err := a.write(file, template)
	return err
}

func (a *Authority) write(file string, template *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate, error) {
	fail := func(err error) (*ecdsa.PrivateKey, *x509.Certificate, error) {
		return nil, nil, fmt.Errorf("make certificate %s: %w", file, err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fail(err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return fail(err)
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(validity)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return fail(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return fail(err)
	}
	if err := a.writePEM(file+".crt", "CERTIFICATE", der); err != nil {
		return fail(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fail(err)
	}
	if err := a.writePEM(file+".key", "EC PRIVATE KEY", private); err != nil {
		return fail(err)
	}
	return key, cert, nil
}

func (a *Authority) writePEM(file, kind string, der []byte) error {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	return os.WriteFile(filepath.Join(a.dir, file), text, 0o600)
}

// Identity is a user that authenticates by a token.
type Identity struct {
	User   string
	Groups []string
	token  string
}

// Token is the bearer token of the identity, made at its first use.
func (i *Identity) Token() string {
	if i.token == "" {
		secret := make([]byte, 16)
		_, _ = rand.Read(secret) // crypto/rand.Read never fails: it ends the process instead
		i.token = hex.EncodeToString(secret)
	}
	return i.token
}

// WriteTokens writes the file for the API server's --token-auth-file.
func WriteTokens(file string, identities ...*Identity) error {
	var text strings.Builder
	for _, i := range identities {
		fmt.Fprintf(&text, "%s,%s,%s,%q\n", i.Token(), i.User, i.User, strings.Join(i.Groups, ","))
	}
	return os.WriteFile(file, []byte(text.String()), 0o600)
}

// WriteKubeconfig writes a kubeconfig for an identity. The authority's certificate is embedded, so
// that the file works wherever it is copied to.
func WriteKubeconfig(file, server, authority string, identity *Identity) error {
	ca, err := os.ReadFile(authority)
	if err != nil {
		return fmt.Errorf("read the certificate authority: %w", err)
	}
	const form = `apiVersion: v1
kind: Config
clusters: [{name: aeterna, cluster: {server: "https://%s", certificate-authority-data: %s}}]
users: [{name: %q, user: {token: %s}}]
contexts: [{name: aeterna, context: {cluster: aeterna, user: %q}}]
current-context: aeterna
`
	text := fmt.Sprintf(form, server, base64.StdEncoding.EncodeToString(ca), identity.User, identity.Token(), identity.User)
	next := file + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(next, file)
}
