//! The node that the demo leaves up, and what every test asks of it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aeterna_load::client::Client;
use aeterna_load::traffic::Traffic;
use aeterna_testkit::output;
use anyhow::{Context as _, Result, bail, ensure};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The namespace of examples/quickstart.
pub const NAMESPACE: &str = "aeterna";

/// The namespace of config/install.
pub const OPERATOR_NAMESPACE: &str = "aeterna-system";

/// The node.
pub struct Ground {
    /// Runs what is asynchronous.
    pub runtime: Runtime,
    /// The database, as its owner.
    pub database: PgPool,
    /// What the demo printed.
    pub shown: String,
    /// How long it took.
    pub took: Duration,
    /// The memory service's Service address, reached from here.
    pub url: String,
    name: String,
    kubeconfig: PathBuf,
}

/// Traffic with its log.
pub struct Load {
    traffic: Traffic,
    stop: watch::Sender<bool>,
    running: JoinHandle<Result<()>>,
}

impl Ground {
    /// Runs the demo on a node of its own, which ends with this process.
    pub fn up() -> Result<Self> {
        let runtime = Runtime::new()?;
        let name = format!("e2e-{}", std::process::id());
        let started = Instant::now();
        let shown = show(script(&name).arg("exec demo/run.sh 2>&1"))?;
        let took = started.elapsed();
        let kubeconfig = PathBuf::from(output(command(&cluster()?, &["kubeconfig", "--name", &name]))?);
        let ip = [
            "get",
            "service",
            "memory-service",
            "-n",
            NAMESPACE,
            "-o",
            "jsonpath={.spec.clusterIP}",
        ];
        let ip = output(command(Path::new("kubectl"), &ip).env("KUBECONFIG", &kubeconfig))?;
        let url = format!("http://{}", forward(&name, &format!("{ip}:8001"))?);
        let node = output(command(&cluster()?, &["address", "--name", &name]))?;
        let port = forward(&name, &format!("{node}:5432"))?;
        let password = std::fs::read_to_string(beside(&kubeconfig)?.join("demo/password"))?;
        let (host, port) = port.rsplit_once(':').context("forward prints no port")?;
        let options = PgConnectOptions::new().host(host).port(port.parse()?);
        let options = options.username("aeterna").password(&password).database("aeterna");
        let database = runtime.block_on(async { PgPoolOptions::new().max_connections(3).connect_lazy_with(options) });
        Ok(Self {
            runtime,
            database,
            shown,
            took,
            url,
            name,
            kubeconfig,
        })
    }

    /// Removes the node.
    pub fn down(&self) -> Result<()> {
        output(script(&self.name).arg("exec demo/down.sh")).map(|_| ())
    }

    /// Runs functions of demo/lib.sh on the node that is up.
    pub fn run(&self, functions: &str) -> Result<String> {
        output(script(&self.name).arg(format!("source demo/lib.sh; locate; {functions}")))
    }

    /// Shows what somebody who looks for the cause wants to see first.
    pub fn explain(&self) {
        match self.run("explain") {
            Ok(shown) => println!("{shown}"),
            Err(error) => println!("nothing can be shown: {error:#}"),
        }
    }

    /// Prepares a program with the node's KUBECONFIG.
    pub fn command(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Command {
        let mut made = command(program.as_ref(), arguments);
        made.env("KUBECONFIG", &self.kubeconfig);
        made
    }

    /// Returns the folder of the demo's servers: their data, logs and process ids.
    pub fn state(&self) -> Result<PathBuf> {
        Ok(beside(&self.kubeconfig)?.join("demo"))
    }

    /// Writes, deletes and searches on a tenant from now on.
    pub fn begin_load(&self, tenant: &str, writes_per_second: u32) -> Result<Load> {
        let traffic = Traffic::new(Client::new(&self.url, tenant)?);
        let (stop, stopped) = watch::channel(false);
        let running = {
            let traffic = traffic.clone();
            self.runtime
                .spawn(async move { traffic.run(writes_per_second, 1, stopped).await })
        };
        Ok(Load { traffic, stop, running })
    }

    /// Ends the traffic, and holds the service to what it has acknowledged.
    pub fn end_load(&self, load: Load) -> Result<()> {
        load.stop.send(true)?;
        self.runtime.block_on(load.running)??;
        println!("    {}", load.traffic.line());
        let verdict = self.runtime.block_on(load.traffic.check())?;
        println!("    {verdict}");
        ensure!(verdict.acknowledged > 0, "nothing was acknowledged");
        ensure!(verdict.is_clean(), "{verdict}");
        Ok(())
    }
}

impl Load {
    /// Returns how many writes were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.traffic.acknowledged()
    }
}

/// Waits until `look` finds something, for at most `limit`.
pub fn wait<T>(what: &str, limit: Duration, look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    wait_often(what, limit, Duration::from_millis(200), look)
}

/// The same, with so much time between two looks.
pub fn wait_often<T>(
    what: &str,
    limit: Duration,
    pause: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        match look() {
            Ok(Some(found)) => return Ok(found),
            Err(error) if Instant::now() > deadline => return Err(error.context(format!("{what}, within {limit:?}"))),
            Ok(None) if Instant::now() > deadline => bail!("{what}: not within {limit:?}"),
            Ok(None) | Err(_) => std::thread::sleep(pause),
        }
    }
}

/// Returns the folder of the binaries: the one above this test's own.
pub fn binaries() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent).context("the test has no folder")?;
    Ok(folder.to_owned())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut made = Command::new(program);
    made.args(arguments).current_dir(root()).stdin(Stdio::null());
    made
}

/// A shell that takes the node for the demo's.
fn script(name: &str) -> Command {
    let mut made = command(Path::new("bash"), &["-euo", "pipefail", "-c"]);
    made.env("DEMO_NAME", name)
        .env("DEMO_OWNER", std::process::id().to_string());
    made
}

fn cluster() -> Result<PathBuf> {
    output(command(Path::new("make"), &["-s", "-C", "tests/cluster", "path"])).map(PathBuf::from)
}

fn forward(name: &str, to: &str) -> Result<String> {
    output(command(&cluster()?, &["forward", "--name", name, "--to", to]))
}

fn beside(kubeconfig: &Path) -> Result<&Path> {
    kubeconfig.parent().context("the kubeconfig is in no folder")
}

/// Runs a program to its end, and shows what it prints while it runs.
fn show(program: &mut Command) -> Result<String> {
    let mut running = program.stdout(Stdio::piped()).spawn()?;
    let mut shown = String::new();
    for line in BufReader::new(running.stdout.take().context("no output")?).lines() {
        let line = line?;
        println!("{line}");
        shown.push_str(&line);
        shown.push('\n');
    }
    let ended = running.wait()?;
    ensure!(ended.success(), "{program:?} ends with {ended}");
    Ok(shown)
}
