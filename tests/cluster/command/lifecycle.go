package command

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"aeterna.dev/cluster/keeper"
	"aeterna.dev/cluster/place"
	"aeterna.dev/cluster/preflight"
)

func up(args []string) error {
	flags, record := startFlags("up")
	flags.StringVar(&record.NodeCIDR, "cidr", "10.222.0.1/24", "address of the node inside of its network namespace")
	noMetrics := flags.Bool("no-metrics", false, "start no metrics-server")
	if err := parse(flags, args); err != nil {
		return err
	}
	prefix, err := netip.ParsePrefix(record.NodeCIDR)
	if err != nil || !prefix.Addr().Is4() {
		return fmt.Errorf("--cidr %q: use an IPv4 address with a prefix length, such as 10.222.0.1/24", record.NodeCIDR)
	}
	if err := place.CheckName(record.Name); err != nil {
		return err
	}
	record.Kind = place.Node
	record.NodeAddress = prefix.Addr().String()
	record.Netns, record.Cgroup = "aeterna-"+record.Name, "aeterna-"+record.Name
	record.Metrics = !*noMetrics
	near := record.Dir
	if near == "" {
		near = place.Base()
	}
	if record.Snapshotter, err = preflight.Check(near); err != nil {
		return err
	}
	return start(*record)
}

func apiserver(args []string) error {
	flags, record := startFlags("apiserver")
	flags.BoolVar(&record.Controllers, "controllers", false, "also run kube-controller-manager")
	if err := parse(flags, args); err != nil {
		return err
	}
	if err := place.CheckName(record.Name); err != nil {
		return err
	}
	record.Kind = place.APIServer
	return start(*record)
}

func startFlags(command string) (*flag.FlagSet, *place.Record) {
	var record place.Record
	flags, name := newFlags(command)
	record.Name = *name
	flags.Lookup("name").Value = (*stringValue)(&record.Name)
	flags.StringVar(&record.Dir, "dir", "", "directory of the cluster (default: one below "+place.Base()+")")
	flags.IntVar(&record.OwnerPID, "owner-pid", 0, "process whose end ends the cluster")
	return flags, &record
}

// start brings a cluster up and prints the path of its kubeconfig, which is all of standard output.
func start(record place.Record) error {
	if record.OwnerPID != 0 && place.Identify(record.OwnerPID).PID == 0 {
		return fmt.Errorf("--owner-pid: process %d does not run", record.OwnerPID)
	}
	began := time.Now()
	say := func(line string) { fmt.Fprintf(os.Stderr, "%5.1fs  %s\n", time.Since(began).Seconds(), line) }
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-interrupted
		say("interrupted: bringing it down again")
		_, err := keeper.Down(record.Name)
		if err != nil {
			say(err.Error())
		}
		os.Exit(130)
	}()
	started, err := keeper.Start(record, say)
	// Between the choice of a free port and its use another program may take it.
	for attempt := 1; record.Kind == place.APIServer && errors.Is(err, keeper.ErrNotUp) && attempt < 3; attempt++ {
		say(err.Error() + ": trying again with other ports")
		started, err = keeper.Start(record, say)
	}
	if err != nil {
		return err
	}
	say("cluster " + record.Name + " is ready")
	fmt.Println(started.Kubeconfig())
	return nil
}

func down(args []string) error {
	flags, name := newFlags("down")
	if err := parse(flags, args); err != nil {
		return err
	}
	began := time.Now()
	found, err := keeper.Down(*name)
	if err != nil {
		return err
	}
	if !found {
		fmt.Fprintf(os.Stderr, "no cluster %s is there\n", *name)
		return nil
	}
	fmt.Fprintf(os.Stderr, "%5.1fs  cluster %s is removed\n", time.Since(began).Seconds(), *name)
	return nil
}

// stringValue is a flag that writes to a string which is there already.
type stringValue string

func (s *stringValue) Set(text string) error { *s = stringValue(text); return nil }
func (s *stringValue) String() string        { return string(*s) }
