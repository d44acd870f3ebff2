// Package command is the command line of cluster: it reads flags, calls keeper and image, and
// prints paths and addresses to standard output, all else to standard error.
package command

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"aeterna.dev/cluster/keeper"
	"aeterna.dev/cluster/node"
	"aeterna.dev/cluster/place"
)

const usage = `cluster runs a real Kubernetes on this machine.

  cluster up         --name NAME [--dir DIR] [--cidr ADDRESS/BITS] [--owner-pid PID] [--no-metrics]
  cluster apiserver  --name NAME [--dir DIR] [--controllers] [--owner-pid PID]
  cluster down       --name NAME
  cluster kubeconfig --name NAME
  cluster address    --name NAME
  cluster load-image --name NAME --image REF --binary PATH [--binary PATH] [--file SOURCE:TARGET]
                     [--entrypoint WORD] [--env KEY=VALUE] [--image REF …]
  cluster exec       --name NAME -- COMMAND [ARGUMENT…]
  cluster forward    --name NAME --to ADDRESS:PORT [--port PORT]
  cluster kubectl    …

The name may also come from AETERNA_CLUSTER.
`

var commands = map[string]func(args []string) error{
	"up":         up,
	"apiserver":  apiserver,
	"down":       down,
	"kubeconfig": kubeconfig,
	"address":    address,
	"load-image": loadImage,
	"exec":       execute,
	"forward":    forward,

	// For the keeper and the supervisor only.
	"keeper":          func([]string) error { return keeper.Main() },
	"supervisor":      enterNode,
	supervisorCommand: supervise,
}

// Main runs one command and returns the exit code of the process.
func Main(args []string) int {
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprint(os.Stderr, usage)
		if len(args) > 0 && (args[0] == "help" || args[0] == "--help" || args[0] == "-h") {
			return 0
		}
		return 2
	}
	if err := commands[args[0]](args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		fmt.Fprintf(os.Stderr, "cluster %s: %v\n", args[0], err)
		return 1
	}
	return 0
}

// newFlags makes the flags of a command with --name, which all have.
func newFlags(command string) (*flag.FlagSet, *string) {
	flags := flag.NewFlagSet("cluster "+command, flag.ContinueOnError)
	fallback := os.Getenv("AETERNA_CLUSTER")
	if fallback == "" {
		fallback = "aeterna"
	}
	return flags, flags.String("name", fallback, "name of the cluster")
}

// find reads flags that end without arguments and the record of the cluster that they name.
func find(flags *flag.FlagSet, name *string, args []string) (place.Record, error) {
	if err := parse(flags, args); err != nil {
		return place.Record{}, err
	}
	record, err := place.Find(*name)
	if err == nil && !record.Keeper.Alive() {
		err = fmt.Errorf("%s does not run any more: remove what is left with `cluster down --name %s`", *name, *name)
	}
	return record, err
}

func parse(flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected %q", strings.Join(flags.Args(), " "))
	}
	return nil
}

const supervisorCommand = "supervisor-inside"

// enterNode is the first process of a cluster's namespaces; of the API server alone it is a plain one.
func enterNode(args []string) error {
	record, err := supervisorRecord(args)
	if err != nil || record.Kind != place.Node {
		return firstError(err, func() error { return supervise(args) })
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return node.Enter(record, append([]string{self, supervisorCommand}, args...))
}

func supervise(args []string) error {
	record, err := supervisorRecord(args)
	if err != nil {
		return err
	}
	err = node.Run(record, func(format string, args ...any) { fmt.Printf(format+"\n", args...) })
	if err != nil {
		fmt.Println(node.FailurePrefix + err.Error())
	}
	return err
}

func supervisorRecord(args []string) (place.Record, error) {
	flags := flag.NewFlagSet("supervisor", flag.ContinueOnError)
	dir := flags.String("dir", "", "directory of the cluster")
	if err := parse(flags, args); err != nil {
		return place.Record{}, err
	}
	return place.Load(*dir)
}

func firstError(err error, next func() error) error {
	if err != nil {
		return err
	}
	return next()
}
