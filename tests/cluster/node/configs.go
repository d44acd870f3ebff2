package node

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed etc/containerd.toml
var containerdToml string

//go:embed etc/kubelet.yaml
var kubeletYAML string

//go:embed etc/kube-proxy.yaml
var proxyYAML string

//go:embed etc/cni.conflist
var cniConflist string

//go:embed etc/Corefile
var corefile string

//go:embed etc/objects.yaml
var objectsYAML string

// configs maps the file below etc/ to its template.
var configs = map[string]string{
	"containerd.toml":     containerdToml,
	"kubelet.yaml":        kubeletYAML,
	"kube-proxy.yaml":     proxyYAML,
	"cni/10-pod.conflist": cniConflist,
	"Corefile":            corefile,
	"objects.yaml":        objectsYAML,
	"resolv.conf":         "# Pods ask the node's CoreDNS only.\n",
}

// values are what the templates may name.
type values struct {
	Dir, NodeName, NodeAddress, Snapshotter, PauseImage string
	PodCIDR, ServiceCIDR, DNSDomain                     string
	MetricsPort                                         int
	Metrics, MasqueradeAll                              bool
}

func (n *node) writeConfigs() error {
	_, err := os.Stat("/proc/sys/net/bridge/bridge-nf-call-iptables")
	v := values{
		Dir: n.Dir, NodeName: n.nodeName(), NodeAddress: n.NodeAddress,
		Snapshotter: n.Snapshotter, PauseImage: PauseImage,
		PodCIDR: podCIDR, ServiceCIDR: serviceCIDR, DNSDomain: dnsDomain,
		MetricsPort: metricsPort, Metrics: n.Metrics,
		// Without br_netfilter the answer of a Pod to another one of the same bridge would pass by
		// the translation of the Service address.
		MasqueradeAll: err != nil,
	}
	for name, text := range configs {
		parsed, err := template.New(name).Option("missingkey=error").Parse(text)
		if err != nil {
			return fmt.Errorf("parse the template of %s: %w", name, err)
		}
		var out strings.Builder
		if err := parsed.Execute(&out, v); err != nil {
			return fmt.Errorf("fill in %s: %w", name, err)
		}
		file := n.Path("etc", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
	}
	return nil
}
