package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// api asks the cluster's own API server whether things are ready; a client library would be more
// than three GETs need.
type api struct {
	client http.Client
	base   string
	token  string
}

func (n *node) newAPI() (*api, error) {
	authority, err := os.ReadFile(n.Path("pki", "ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return &api{
		client: http.Client{Timeout: 5 * time.Second,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}},
		base:  "https://" + n.apiInside(),
		token: n.adminUser.Token(),
	}, nil
}

func (a *api) get(path string) ([]byte, error) {
	request, err := http.NewRequest(http.MethodGet, a.base+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+a.token)
	response, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", path, response.Status)
	}
	return body, err
}

func (a *api) waitReady(limit time.Duration) error {
	err := until(limit, func() error { _, err := a.get("/readyz"); return err })
	if err != nil {
		return fmt.Errorf("kube-apiserver is not ready: %w", err)
	}
	return nil
}

// waitDefaultAccount waits for what every Pod of the default namespace needs first.
func (a *api) waitDefaultAccount(limit time.Duration) error {
	return until(limit, func() error {
		_, err := a.get("/api/v1/namespaces/default/serviceaccounts/default")
		return err
	})
}

// waitNode waits until the node is Ready and Pods may be placed on it.
func (a *api) waitNode(name string, limit time.Duration) error {
	return until(limit, func() error {
		body, err := a.get("/api/v1/nodes/" + name)
		if err != nil {
			return err
		}
		var seen struct {
			Spec   struct{ Taints []struct{ Key string } }
			Status struct {
				Conditions []struct{ Type, Status, Message string }
			}
		}
		if err := json.Unmarshal(body, &seen); err != nil {
			return err
		}
		for _, condition := range seen.Status.Conditions {
			if condition.Type == "Ready" && condition.Status != "True" {
				return fmt.Errorf("node is not Ready: %s", condition.Message)
			}
		}
		if len(seen.Spec.Taints) > 0 || len(seen.Status.Conditions) == 0 {
			return fmt.Errorf("node is not Ready: taints %v", seen.Spec.Taints)
		}
		return nil
	})
}

// waitDNS asks CoreDNS for the address of the API server, as a Pod would.
func (n *node) waitDNS(limit time.Duration) error {
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, net.JoinHostPort(n.NodeAddress, "53"))
	}}
	err := until(limit, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := resolver.LookupHost(ctx, "kubernetes.default.svc."+dnsDomain+".")
		return err
	})
	if err != nil {
		return fmt.Errorf("CoreDNS does not answer: %w", err)
	}
	return nil
}

// until repeats a probe until it succeeds; after the limit it returns the probe's last error.
func until(limit time.Duration, probe func() error) error {
	for deadline := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		err := probe()
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}
