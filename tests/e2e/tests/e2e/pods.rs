//! Killing what runs in pods, as an out-of-memory killer would.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use aeterna_testkit::output;
use anyhow::{Context as _, Result, ensure};

use crate::ground::{Ground, NAMESPACE, OPERATOR_NAMESPACE, wait};

/// Something that runs as one pod.
#[derive(Debug, Clone, Copy)]
pub enum Victim {
    Operator,
    Relocator,
}

impl Victim {
    fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Operator => (OPERATOR_NAMESPACE, "app=aeterna-operator"),
            Self::Relocator => (NAMESPACE, "app=aeterna-relocator"),
        }
    }
}

/// A victim that was found: its pods and their processes.
pub struct Aim {
    namespace: &'static str,
    pods: Vec<String>,
    processes: Vec<String>,
}

impl Ground {
    /// Finds the victim's processes beforehand, so that killing them takes no time.
    pub fn aim(&self, victim: Victim) -> Result<Aim> {
        let (namespace, selector) = victim.place();
        let listed = self.list("pods", namespace, selector)?;
        let living = listed
            .iter()
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
        let (mut pods, mut processes) = (Vec::new(), Vec::new());
        for pod in living {
            let name = pod["metadata"]["name"].as_str().context("a pod without a name")?;
            let id = pod["status"]["containerStatuses"][0]["containerID"]
                .as_str()
                .context("a pod without a container")?;
            processes.extend(processes_of(id.trim_start_matches("containerd://"))?);
            pods.push(name.to_owned());
        }
        ensure!(!pods.is_empty(), "no pod has {selector}");
        Ok(Aim {
            namespace,
            pods,
            processes,
        })
    }

    /// Kills with SIGKILL, and has the pods replaced at once, without the kubelet's back-off.
    pub fn kill(&self, aim: &Aim) -> Result<()> {
        output(Command::new("kill").arg("-KILL").args(&aim.processes))?;
        for pod in &aim.pods {
            let delete = ["delete", "pod", pod, "-n", aim.namespace];
            let force = ["--force", "--grace-period=0", "--wait=false"];
            self.kubectl(&[&delete[..], &force[..]].concat())?;
        }
        Ok(())
    }

    /// Waits until the victim's successor is ready.
    pub fn wait_replaced(&self, victim: Victim) -> Result<()> {
        let (namespace, selector) = victim.place();
        wait(&format!("a new pod has {selector}"), Duration::from_secs(60), || {
            let pods = self.list("pods", namespace, selector)?;
            let ready = |pod: &serde_json::Value| {
                pod["status"]["containerStatuses"][0]["ready"] == true && pod["metadata"]["deletionTimestamp"].is_null()
            };
            Ok(pods.iter().any(ready).then_some(()))
        })
    }
}

/// Finds the processes of a container by their control group.
fn processes_of(container: &str) -> Result<Vec<String>> {
    ensure!(container.len() > 32, "{container} is no container");
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let groups = std::fs::read_to_string(path.join("cgroup")).unwrap_or_default();
        if groups.contains(container)
            && let Some(id) = path.file_name().and_then(|name| name.to_str())
            && Path::new("/proc").join(id).join("stat").exists()
        {
            found.push(id.to_owned());
        }
    }
    ensure!(!found.is_empty(), "container {container} has no process");
    Ok(found)
}
