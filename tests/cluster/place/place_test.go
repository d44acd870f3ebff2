package place

import (
	"errors"
	"os"
	"os/exec"
	"testing"
)

func TestNamesThatCannotBeHostNamesAreRefused(t *testing.T) {
	for _, name := range []string{"", "../up", "A", "a_b", "-a", "a-", "a/b", "abcdefghijklmnopqrstuvwxyz0123456"} {
		if CheckName(name) == nil {
			t.Errorf("%q was accepted", name)
		}
	}
	for _, name := range []string{"a", "aeterna", "it-1"} {
		if err := CheckName(name); err != nil {
			t.Error(err)
		}
	}
}

func TestAnUnknownNameIsNoCluster(t *testing.T) {
	t.Setenv("AETERNA_CLUSTER_HOME", t.TempDir())
	if _, err := Find("none"); !errors.Is(err, ErrNoCluster) {
		t.Fatal(err)
	}
}

func TestAProcessIsNotTakenForALaterOneOfItsNumber(t *testing.T) {
	self := Self()
	if !self.Alive() {
		t.Fatal("this process does not count as alive")
	}
	if (Process{PID: self.PID, Started: self.Started - 1}).Alive() || (Process{}).Alive() {
		t.Fatal("another start time counts as the same process")
	}
}

func TestAProcessThatWasNotCollectedDoesNotCountAsAlive(t *testing.T) {
	command := exec.Command("sleep", "600")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	process := Identify(command.Process.Pid)
	ended, err := process.Ended()
	if err != nil {
		t.Fatal(err)
	}
	_ = command.Process.Signal(os.Kill)
	<-ended
	if process.Alive() {
		t.Fatal("a zombie counts as alive")
	}
	_ = command.Wait()
}
