// Package components holds the programs of Kubernetes that are linked into this binary: the API
// server, the controllers, the scheduler, the kubelet, the proxy and kubectl, each run by its
// upstream command with upstream flags. etcd is in etcd.go. Nothing here knows of namespaces or
// clusters: package node starts these as processes of their own (`cluster kubelet --flags…`).
package components

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlerror "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// programs maps the first argument of the command line to the command that upstream ships.
var programs = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kube-proxy":              proxy.NewProxyCommand,
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
}

// Run becomes the component called args[1], or args[0] when the binary is linked under the name of
// a component, and exits the process with its code. It returns when neither names one.
func Run(args []string) {
	if name := filepath.Base(args[0]); name != "kubectl" && programs[name] == nil {
		args = args[1:]
	}
	if len(args) == 0 {
		return
	}
	name := filepath.Base(args[0])
	// The upstream commands read os.Args themselves: the kubelet parses its flags twice.
	switch build := programs[name]; {
	case name == "etcd":
		if err := runEtcd(args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "etcd:", err)
			os.Exit(1)
		}
		os.Exit(0)
	case name == "kubectl":
		os.Args = args
		kubectlerror.CheckErr(cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()))
		os.Exit(0)
	case build != nil:
		os.Args = args
		os.Exit(cli.Run(build()))
	}
}
