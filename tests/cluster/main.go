// The cluster command runs a real Kubernetes on this machine for tests and the demo: a whole node
// in a network namespace of its own, or the API server alone. See README.md, then package command.
package main

import (
	"os"

	"aeterna.dev/cluster/command"
	"aeterna.dev/cluster/components"
)

func main() {
	// Where Debian keeps ip, nft and iptables; a plain user's path lacks it.
	_ = os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	components.Run(os.Args) // does not return when the name or the first argument is a component's
	os.Exit(command.Main(os.Args[1:]))
}
