// The addons binary holds the two programs of the node that need newer Kubernetes libraries than
// the node itself, hence this module of its own: CoreDNS and metrics-server.
package main

import (
	"fmt"
	"os"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"sigs.k8s.io/metrics-server/cmd/metrics-server/app"

	// Only the plugins that the Corefile of package node names.
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

func init() {
	// Requests pass through the plugins in this order.
	dnsserver.Directives = []string{"bind", "ready", "errors", "cache", "template", "kubernetes"}
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: addons coredns|metrics-server [flags]")
		os.Exit(2)
	}
	os.Args = os.Args[1:]
	switch os.Args[0] {
	case "coredns":
		coremain.Run()
	case "metrics-server":
		if err := app.NewMetricsServerCommand(genericapiserver.SetupSignalHandler()).Execute(); err != nil {
			os.Exit(1)
		}
	default:
		fmt.Fprintf(os.Stderr, "addons: no program %q\n", os.Args[0])
		os.Exit(2)
	}
}
