package node

import (
	"fmt"
	"time"

	"aeterna.dev/cluster/supervise"
)

// The networks of a node. They exist in its own network namespace only, so every cluster of a
// machine has the same ones.
const (
	podCIDR     = "10.244.0.0/24"
	serviceCIDR = "10.96.0.0/16"
	serviceIP   = "10.96.0.1"
	dnsDomain   = "cluster.local"
)

// kubernetes is a program that is linked into this binary.
func (n *node) kubernetes(name string, grace time.Duration, args ...string) supervise.Program {
	return supervise.Program{Name: name, Path: n.self, Args: append([]string{name}, args...), Grace: grace,
		// Two cores serve the whole cluster: a larger heap between collections costs less than they do.
		Env: []string{"GOGC=200"}}
}

func (n *node) etcd() supervise.Program {
	return n.kubernetes("etcd", 5*time.Second,
		"--data-dir="+n.Path("etcd"), "--client="+n.etcdClient, "--peer="+n.etcdPeer)
}

func (n *node) apiserver() supervise.Program {
	host, port := n.apiHost, n.apiPort
	args := []string{
		"--etcd-servers=http://" + n.etcdClient,
		"--bind-address=" + host, "--secure-port=" + port,
		"--service-cluster-ip-range=" + serviceCIDR,
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true", "--profiling=false", "--v=1",
		"--token-auth-file=" + n.Path("pki", "tokens.csv"),
		"--client-ca-file=" + n.Path("pki", "ca.crt"),
		"--tls-cert-file=" + n.Path("pki", "apiserver.crt"),
		"--tls-private-key-file=" + n.Path("pki", "apiserver.key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + n.Path("pki", "serviceaccounts.key"),
		"--service-account-signing-key-file=" + n.Path("pki", "serviceaccounts.key"),
		"--requestheader-client-ca-file=" + n.Path("pki", "front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=" + n.Path("pki", "front-proxy.crt"),
		"--proxy-client-key-file=" + n.Path("pki", "front-proxy.key"),
		// A stopped cluster has no client to wait for.
		"--shutdown-delay-duration=0s",
	}
	if n.hasNode() {
		args = append(args,
			"--advertise-address="+n.NodeAddress,
			"--kubelet-preferred-address-types=InternalIP",
			"--kubelet-client-certificate="+n.Path("pki", "apiserver-kubelet.crt"),
			"--kubelet-client-key="+n.Path("pki", "apiserver-kubelet.key"),
			"--enable-aggregator-routing=true")
	} else {
		// Loopback is refused as an advertised address; nothing is reached by this one, which is
		// from the block for documentation.
		args = append(args, "--endpoint-reconciler-type=none", "--advertise-address=192.0.2.1")
	}
	return n.kubernetes("kube-apiserver", 10*time.Second, args...)
}

func (n *node) controllerManager() supervise.Program {
	args := []string{
		"--kubeconfig=" + n.Path("pki", "controller-manager.kubeconfig"),
		"--leader-elect=false", "--bind-address=127.0.0.1", "--secure-port=" + n.controllerPort,
		"--use-service-account-credentials=false", "--profiling=false",
		"--service-account-private-key-file=" + n.Path("pki", "serviceaccounts.key"),
		"--root-ca-file=" + n.Path("pki", "ca.crt"),
		"--service-cluster-ip-range=" + serviceCIDR,
		"--kube-api-qps=200", "--kube-api-burst=400",
		"--concurrent-deployment-syncs=10", "--concurrent-replicaset-syncs=10",
		"--concurrent-endpoint-syncs=5", "--concurrent-service-endpoint-syncs=5",
		"--concurrent-gc-syncs=10", "--concurrent-namespace-syncs=5",
		"--endpoint-updates-batch-period=0s", "--endpointslice-updates-batch-period=0s",
		// The defaults suit a Pod that lives for days: five minutes in which its CPU does not count.
		"--horizontal-pod-autoscaler-sync-period=5s",
		"--horizontal-pod-autoscaler-cpu-initialization-period=15s",
		"--horizontal-pod-autoscaler-initial-readiness-delay=5s",
		"--horizontal-pod-autoscaler-downscale-stabilization=60s",
	}
	return n.kubernetes("kube-controller-manager", 5*time.Second, args...)
}

func (n *node) scheduler() supervise.Program {
	return n.kubernetes("kube-scheduler", 5*time.Second,
		"--kubeconfig="+n.Path("pki", "scheduler.kubeconfig"),
		"--leader-elect=false", "--bind-address=127.0.0.1", "--profiling=false",
		"--kube-api-qps=200", "--kube-api-burst=400")
}

func (n *node) kubelet() supervise.Program {
	return n.kubernetes("kubelet", 5*time.Second,
		"--config="+n.Path("etc", "kubelet.yaml"),
		"--kubeconfig="+n.Path("pki", "kubelet.kubeconfig"),
		"--root-dir="+n.Path("kubelet"),
		"--hostname-override="+n.nodeName(), "--node-ip="+n.NodeAddress)
}

func (n *node) proxy() supervise.Program {
	return n.kubernetes("kube-proxy", 5*time.Second, "--config="+n.Path("etc", "kube-proxy.yaml"))
}

func (n *node) containerd() supervise.Program {
	return supervise.Program{Name: "containerd", Path: n.containerdPath, Grace: 5 * time.Second,
		Args: []string{"--config", n.Path("etc", "containerd.toml"), "--log-level", "warn"}}
}

func (n *node) coredns() supervise.Program {
	return supervise.Program{Name: "coredns", Path: n.addons, Grace: 3 * time.Second,
		Args: []string{"coredns", "-conf", n.Path("etc", "Corefile")}}
}

func (n *node) metricsServer() supervise.Program {
	kubeconfig := n.Path("pki", "metrics-server.kubeconfig")
	return supervise.Program{Name: "metrics-server", Path: n.addons, Grace: 3 * time.Second,
		Args: []string{"metrics-server",
			"--kubeconfig=" + kubeconfig,
			"--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
			"--bind-address=" + n.NodeAddress, fmt.Sprintf("--secure-port=%d", metricsPort),
			"--tls-cert-file=" + n.Path("pki", "metrics-server.crt"),
			"--tls-private-key-file=" + n.Path("pki", "metrics-server.key"),
			"--kubelet-insecure-tls", "--kubelet-preferred-address-types=InternalIP",
			// A scrape must end well within the resolution.
			"--metric-resolution=10s", "--kubelet-request-timeout=5s"}}
}

// stopOrder ends what uses a program before the program: an API server whose etcd is gone does not
// end on SIGTERM.
var stopOrder = []string{"metrics-server", "coredns", "kubelet", "kube-proxy", "kube-scheduler",
	"kube-controller-manager", "kube-apiserver", "containerd", "etcd"}
