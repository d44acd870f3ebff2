// Package node is the inside of a cluster: the process that prepares the namespaces it was started
// in, writes the configuration of every program, starts them in order, waits until they serve and
// stops them in order. Package keeper starts it and removes what it leaves.
package node

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"aeterna.dev/cluster/pki"
	"aeterna.dev/cluster/place"
	"aeterna.dev/cluster/supervise"
)

// PauseImage is the sandbox image of every Pod; it is made from the pause binary beside this one.
const PauseImage = "aeterna.dev/pause:1"

const metricsPort = 4443

type node struct {
	place.Record
	self           string // this binary, which holds the programs of Kubernetes
	addons         string // CoreDNS and metrics-server
	containerdPath string

	apiHost, apiPort     string
	etcdClient, etcdPeer string
	controllerPort       string

	adminUser, kubeletUser, dnsUser, metricsUser, schedulerUser, controllersUser, proxyUser *pki.Identity

	supervisor *supervise.Supervisor
	report     func(format string, args ...any)
}

func newNode(record place.Record, report func(string, ...any)) (*node, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this binary: %w", err)
	}
	n := &node{Record: record, self: self, addons: filepath.Join(filepath.Dir(self), "addons"), report: report}
	masters := []string{"system:masters"}
	n.adminUser = &pki.Identity{User: "admin", Groups: masters}
	// One identity does the work of every controller, hence it may do anything.
	n.controllersUser = &pki.Identity{User: "system:kube-controller-manager", Groups: masters}
	n.schedulerUser = &pki.Identity{User: "system:kube-scheduler"}
	n.proxyUser = &pki.Identity{User: "system:kube-proxy"}
	n.dnsUser = &pki.Identity{User: "aeterna:dns"}
	n.metricsUser = &pki.Identity{User: "aeterna:metrics"}
	n.kubeletUser = &pki.Identity{User: "system:node:" + n.nodeName(), Groups: []string{"system:nodes"}}

	if n.hasNode() {
		n.apiHost, n.apiPort = "0.0.0.0", "6443"
		n.etcdClient, n.etcdPeer = "127.0.0.1:2379", "127.0.0.1:2380"
		n.controllerPort = "10257"
		if n.containerdPath, err = exec.LookPath("containerd"); err != nil {
			return nil, err
		}
		return n, nil
	}
	ports, err := freePorts(4)
	if err != nil {
		return nil, err
	}
	n.apiHost, n.apiPort = "127.0.0.1", ports[0]
	n.etcdClient, n.etcdPeer = "127.0.0.1:"+ports[1], "127.0.0.1:"+ports[2]
	n.controllerPort = ports[3]
	n.APIAddress = "127.0.0.1:" + ports[0]
	return n, nil
}

func (n *node) hasNode() bool { return n.Kind == place.Node }

// nodeName is the host name of the node in the API.
func (n *node) nodeName() string { return n.Name }

// apiInside is where the programs of the cluster reach the API server.
func (n *node) apiInside() string { return "127.0.0.1:" + n.apiPort }

// freePorts asks the kernel for ports that nothing listens on, all at once so that they differ.
func freePorts(count int) ([]string, error) {
	var ports []string
	for range count {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free loopback port: %w", err)
		}
		defer listener.Close()
		_, port, err := net.SplitHostPort(listener.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}

// writeIdentities makes every certificate, token and kubeconfig of the cluster.
func (n *node) writeIdentities() error {
	dir := n.Path("pki")
	ca, err := pki.NewAuthority(dir, "ca")
	if err != nil {
		return err
	}
	frontProxy, err := pki.NewAuthority(dir, "front-proxy-ca")
	if err != nil {
		return err
	}
	hosts := []string{"127.0.0.1", "localhost", serviceIP, "kubernetes", "kubernetes.default",
		"kubernetes.default.svc", "kubernetes.default.svc." + dnsDomain}
	if n.hasNode() {
		hosts = append(hosts, n.NodeAddress)
	}
	steps := []func() error{
		func() error { return ca.Issue("apiserver", "kube-apiserver", "", hosts...) },
		func() error { return ca.Issue("apiserver-kubelet", "kube-apiserver-kubelet", "system:masters") },
		func() error { return ca.Issue("kubelet", n.nodeName(), "", n.nodeName(), n.NodeAddress) },
		func() error {
			return ca.Issue("metrics-server", "metrics-server", "", "metrics-server.kube-system.svc")
		},
		func() error { return frontProxy.Issue("front-proxy", "front-proxy", "") },
		func() error { return writeSigningKey(n.Path("pki", "serviceaccounts.key")) },
		func() error {
			return pki.WriteTokens(n.Path("pki", "tokens.csv"),
				n.adminUser, n.controllersUser, n.schedulerUser, n.proxyUser, n.dnsUser, n.metricsUser, n.kubeletUser)
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	for name, identity := range map[string]*pki.Identity{
		"controller-manager": n.controllersUser, "scheduler": n.schedulerUser, "proxy": n.proxyUser,
		"dns": n.dnsUser, "metrics-server": n.metricsUser, "kubelet": n.kubeletUser, "admin": n.adminUser,
	} {
		file := n.Path("pki", name+".kubeconfig")
		if err := pki.WriteKubeconfig(file, n.apiInside(), n.Path("pki", "ca.crt"), identity); err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
	}
	return nil
}

// writeSigningKey makes the key that signs the tokens of service accounts.
func writeSigningKey(file string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("make the key of service accounts: %w", err)
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return os.WriteFile(file, pem.EncodeToMemory(block), 0o600)
}
