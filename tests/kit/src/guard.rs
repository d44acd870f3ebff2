//! Server processes that end with the test process.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// Ports below the range that the kernel gives to outgoing connections: such a one could take a port before its server does.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// Returns a loopback port that nobody listens on, and that this process has not returned before.
///
/// # Errors
/// When no port is free.
pub fn free_port() -> Result<u16> {
    // Test processes that run at the same time begin at different places.
    let begin = u16::try_from(std::process::id() % 1_000).unwrap_or_default() * 20;
    for _ in PORTS {
        let place = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % (PORTS.end - PORTS.start);
        let port = PORTS.start + place;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no loopback port is free")
}

/// A server process, and the shell that ends it when this process ends.
#[derive(Debug)]
pub(crate) struct Guarded {
    shell: Child,
}

/// Ends its server when its standard input closes, and itself when the server ends. `$1` is the signal.
const SCRIPT: &str = r#"
signal=$1; shift
exec 3<&0
"$@" </dev/null &
server=$!
( cat <&3 >/dev/null; kill "-$signal" "$server" 2>/dev/null ) &
watcher=$!
wait "$server"
kill "$watcher" 2>/dev/null
"#;

impl Guarded {
    /// Starts a server; `signal` ends it when the test process is gone.
    pub(crate) fn start(command: &[&str], signal: &str) -> Result<Self> {
        let shell = Command::new("bash")
            .args(["-c", SCRIPT, "guard", signal])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start bash")?;
        Ok(Self { shell })
    }

    /// Ends the server and waits for it.
    pub(crate) fn stop(mut self) -> Result<()> {
        drop(self.shell.stdin.take());
        for _ in 0..500 {
            if self.shell.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the server does not end")
    }
}

/// Calls `ready` until it succeeds or ten seconds are over.
pub(crate) async fn wait_for<T, F>(what: &str, mut ready: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        match ready().await {
            Ok(value) => return Ok(value),
            Err(error) if tokio::time::Instant::now() > deadline => {
                return Err(error.context(format!("{what} does not come up")));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
