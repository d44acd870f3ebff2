//! Programs that are measured: processes of their own, which end with this one.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// How long a program may take to answer.
const LIMIT: Duration = Duration::from_secs(30);

/// A running program.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

/// What a process holds of the machine's memory, in megabytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Now.
    pub resident: f64,
    /// At most, so far.
    pub peak: f64,
}

impl Process {
    /// Starts one of the workspace's binaries, from the directory of this one and without this one's environment; its log
    /// goes to `dir`.
    ///
    /// Must be called from the main thread: the kernel ends the program with the thread that started it.
    pub fn start(dir: &Path, program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Self> {
        let path = std::env::current_exe()?.with_file_name(program);
        ensure!(
            path.exists(),
            "{} is not built: tools/bench.sh builds it",
            path.display()
        );
        let log = dir.join(format!("{program}.log"));
        let written = File::create(&log)?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(path)
            .args(arguments)
            .env_clear()
            .env("RUST_LOG", "warn")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(written.try_clone()?)
            .stderr(written)
            .spawn()
            .with_context(|| format!("cannot start {program} through setpriv"))?;
        Ok(Self { child, log })
    }

    /// Waits until the program answers on its port.
    pub async fn wait_for_port(&mut self, port: u16) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let said = std::fs::read_to_string(&self.log).unwrap_or_default();
                bail!("{} does not come up ({ended:?}): {said}", self.log.display());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Reads what the process holds of the machine's memory.
    pub fn memory(&self) -> Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kibibytes = line.and_then(|line| line.split_whitespace().next());
            let kibibytes: f64 = kibibytes.with_context(|| format!("no {name}"))?.parse()?;
            anyhow::Ok(kibibytes * 1_024.0 / 1e6)
        };
        Ok(Memory {
            resident: field("VmRSS:")?,
            peak: field("VmHWM:")?,
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a condition holds; an error is a "not yet" as long as there is time.
pub async fn until(what: &str, limit: Duration, mut holds: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        match holds().await {
            Ok(true) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error.context(format!("never: {what}"))),
            Ok(false) if Instant::now() > deadline => bail!("not within {limit:?}: {what}"),
            Ok(false) | Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
