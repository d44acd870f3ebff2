package command

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"

	"aeterna.dev/cluster/image"
	"aeterna.dev/cluster/keeper"
	"aeterna.dev/cluster/netns"
	"aeterna.dev/cluster/place"
	"golang.org/x/sys/unix"
)

func kubeconfig(args []string) error {
	flags, name := newFlags("kubeconfig")
	record, err := find(flags, name, args)
	if err != nil {
		return err
	}
	fmt.Println(record.Kubeconfig())
	return nil
}

func address(args []string) error {
	flags, name := newFlags("address")
	record, err := findNode(flags.Parse, name, args)
	if err != nil {
		return err
	}
	fmt.Println(record.NodeAddress)
	return nil
}

// findNode is find for commands that need more than an API server.
func findNode(parse func([]string) error, name *string, args []string) (place.Record, error) {
	if err := parse(args); err != nil {
		return place.Record{}, err
	}
	record, err := place.Find(*name)
	switch {
	case err != nil:
		return record, err
	case record.Kind != place.Node:
		return record, fmt.Errorf("%s is an API server without a node: start a node with `cluster up`", *name)
	case !record.Keeper.Alive():
		return record, fmt.Errorf("%s does not run any more: remove what is left with `cluster down --name %s`", *name, *name)
	}
	return record, nil
}

func execute(args []string) error {
	flags, name := newFlags("exec")
	record, err := findNode(flags.Parse, name, args)
	if err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("give a command after --")
	}
	return netns.Exec(record.Netns, flags.Args())
}

func forward(args []string) error {
	flags, name := newFlags("forward")
	to := flags.String("to", "", "ADDRESS:PORT inside: of the node, a Pod or a Service")
	port := flags.Int("port", 0, "loopback port outside (default: a free one)")
	record, err := find(flags, name, args)
	if err != nil {
		return err
	}
	outside, err := keeper.Forward(record, net.JoinHostPort("127.0.0.1", strconv.Itoa(*port)), *to)
	if err != nil {
		return err
	}
	fmt.Println(outside)
	return nil
}

// loadImage makes and imports the images that the flags describe: each --image begins another one.
func loadImage(args []string) error {
	flags, name := newFlags("load-image")
	var specs []image.Spec
	flags.Func("image", "reference of an image; the flags after it describe it", func(reference string) error {
		specs = append(specs, image.Spec{Reference: reference})
		return nil
	})
	for flag, add := range map[string]func(*image.Spec, string){
		"binary":     func(s *image.Spec, v string) { s.Binaries = append(s.Binaries, v) },
		"file":       func(s *image.Spec, v string) { s.Files = append(s.Files, v) },
		"entrypoint": func(s *image.Spec, v string) { s.Entrypoint = append(s.Entrypoint, v) },
		"env":        func(s *image.Spec, v string) { s.Env = append(s.Env, v) },
	} {
		flags.Func(flag, flag+" of the image that was named last", func(value string) error {
			if len(specs) == 0 {
				return errors.New("it stands before the first --image")
			}
			add(&specs[len(specs)-1], value)
			return nil
		})
	}
	record, err := findNode(flags.Parse, name, args)
	if err != nil {
		return err
	}
	if len(specs) == 0 {
		return errors.New("give --image and --binary")
	}
	if _, err := exec.LookPath("ctr"); err != nil {
		return errors.New("ctr is missing: run `apt-get install --yes containerd`")
	}
	if unix.Access(record.Path("containerd.sock"), unix.W_OK) != nil {
		return errors.New("containerd needs root: run this with sudo")
	}
	for _, spec := range specs {
		began := time.Now()
		digest, fresh, err := image.Load(spec, record.Dir, record.Path("containerd.sock"), record.Snapshotter)
		if err != nil {
			return err
		}
		state := "loaded"
		if !fresh {
			state = "present"
		}
		fmt.Fprintf(os.Stderr, "%5.1fs  %s %s\n", time.Since(began).Seconds(), image.Normalise(spec.Reference), state)
		fmt.Println(digest)
	}
	return nil
}
