//! The sync service in this process, behind a real socket, and what it stands between.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use aeterna_kit::http::health::{Readiness, Scrape};
use aeterna_kit::http::stack::Stack;
use aeterna_kit::service::Foundation;
use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sync_service::router::router;
use sync_service::settings::Serve;
use sync_service::state::State;
use sync_service::store::{self, Claimed};
use sync_service::worker::{Context, LEASE};
use uuid::Uuid;

use super::peer::Knowledge;
use crate::api::service::{Answer, Service as Memory, send};
use crate::ground::Ground;

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    serve: Serve,
}

/// A running sync service, a memory service and a peer that stands for knowledge.
pub struct Sync {
    pub memory: Memory,
    pub knowledge: Knowledge,
    pub state: State,
    root: tempfile::TempDir,
    secrets: tempfile::TempDir,
    copies: tempfile::TempDir,
    line: Vec<String>,
    url: String,
    http: reqwest::Client,
}

impl Sync {
    /// Starts all, with a worker.
    pub async fn start() -> Result<Self> {
        Self::start_on(Ground::new().await?, &["--auth-mode", "disabled"]).await
    }

    /// Starts all without a worker: the test claims by itself.
    pub async fn by_hand() -> Result<Self> {
        let options = ["--auth-mode", "disabled", "--sync-jobs-at-once", "0"];
        Self::start_on(Ground::new().await?, &options).await
    }

    /// Starts all with options of the sync service's own.
    pub async fn start_on(ground: Ground, options: &[&str]) -> Result<Self> {
        let memory = Memory::start_on(ground, &["--auth-mode", "disabled"]).await?;
        Self::beside(memory, options).await
    }

    /// Starts all with the knowledge service at another place than the peer's.
    pub async fn on_knowledge(ground: Ground, url: &str, options: &[&str]) -> Result<Self> {
        let memory = Memory::start_on(ground, &["--auth-mode", "disabled"]).await?;
        Self::assemble(memory, Some(url), options).await
    }

    /// Starts a sync service beside a memory service.
    pub async fn beside(memory: Memory, options: &[&str]) -> Result<Self> {
        Self::assemble(memory, None, options).await
    }

    async fn assemble(memory: Memory, knowledge_url: Option<&str>, options: &[&str]) -> Result<Self> {
        for set in sync_service::definition().migrations {
            set.run(&memory.ground.pool).await?;
        }
        let knowledge = Knowledge::start().await?;
        let root = tempfile::tempdir()?;
        let directory = root.path().to_string_lossy();
        let secrets = tempfile::tempdir()?;
        let copies = tempfile::tempdir()?;
        let git_directory = copies.path().to_string_lossy();
        let secrets_directory = secrets.path().to_string_lossy();
        let line = [
            "service",
            "--database-url",
            &memory.ground.database_url,
            "--memory-service-url",
            &memory.url,
            "--knowledge-service-url",
            knowledge_url.unwrap_or(knowledge.url()),
            "--sync-directory-root",
            &directory,
            "--sync-secrets-directory",
            &secrets_directory,
            "--sync-git-directory",
            &git_directory,
            // Where the tests' own peers are, and no other address of this machine.
            "--sync-allow-hosts",
            "127.0.0.1",
        ];
        let line: Vec<String> = line.iter().chain(options).map(ToString::to_string).collect();
        let Serve { kit, sync } = CommandLine::try_parse_from(&line)?.serve;
        let laid = Foundation::lay(&sync_service::definition(), &kit)?;
        let state = State::assemble(&laid, &kit, &sync)?;
        state.spawn_workers();
        let url = serve(state.clone(), laid.readiness.clone()).await?;
        Ok(Self {
            memory,
            knowledge,
            state,
            root,
            secrets,
            copies,
            line,
            url,
            http: reqwest::Client::new(),
        })
    }

    /// Returns what makes another instance beside this one, with connections of its own.
    pub fn another(&self) -> impl FnOnce() -> Result<State> + Send + 'static {
        let line = self.line.clone();
        move || assemble(&line)
    }

    /// Returns its command line.
    pub fn line(&self) -> &[String] {
        &self.line
    }

    /// Returns where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Prepares a request.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// Reads as a tenant.
    pub async fn get(&self, tenant: &str, path: &str) -> Result<Answer> {
        send(self.request(Method::GET, path).header("X-Tenant-ID", tenant)).await
    }

    /// Posts a body as a tenant.
    pub async fn post(&self, tenant: &str, path: &str, body: &Value) -> Result<Answer> {
        let request = self.request(Method::POST, path).header("X-Tenant-ID", tenant);
        send(request.json(body)).await
    }

    /// Asks for a job.
    pub async fn start_job(&self, tenant: &str, body: &Value) -> Result<Answer> {
        self.post(tenant, "/api/v1/sync/start", body).await
    }

    /// Starts a job and waits for its end.
    pub async fn run_job(&self, tenant: &str, body: &Value) -> Result<Answer> {
        let started = self.start_job(tenant, body).await?;
        started.expect(202)?;
        self.end_of(tenant, started.id()?).await
    }

    /// Waits for the end of a job.
    pub async fn end_of(&self, tenant: &str, job: Uuid) -> Result<Answer> {
        for _ in 0..6 {
            let path = format!("/api/v1/sync/status/{job}?wait=5s");
            let answer = self.get(tenant, &path).await?;
            answer.expect(200)?;
            if answer.body["finishedAt"].is_string() {
                return Ok(answer);
            }
        }
        anyhow::bail!("job {job} does not end")
    }

    /// Returns a path in a tenant's directory, whose parents are there.
    pub fn file(&self, tenant: &str, path: &str) -> Result<PathBuf> {
        let file = self.root.path().join(tenant).join(path);
        std::fs::create_dir_all(file.parent().context("it has a parent")?)?;
        Ok(file)
    }

    /// Writes a file in a tenant's directory.
    pub fn write(&self, tenant: &str, path: &str, text: impl AsRef<[u8]>) -> Result<()> {
        Ok(std::fs::write(self.file(tenant, path)?, text)?)
    }

    /// Gives a tenant a secret that may be sent to the origins of some URLs.
    pub fn write_sendable(&self, tenant: &str, name: &str, text: &str, urls: &[&str]) -> Result<()> {
        self.write_secret(tenant, name, text)?;
        let origin = |url: &&str| Ok(reqwest::Url::parse(url)?.origin().ascii_serialization());
        let origins: Vec<String> = urls.iter().map(origin).collect::<Result<_>>()?;
        self.write_secret(tenant, &format!("{name}.origins"), &origins.join("\n"))
    }

    /// Writes a file into a tenant's directory of secrets.
    pub fn write_secret(&self, tenant: &str, name: &str, text: &str) -> Result<()> {
        let directory = self.secrets.path().join(tenant);
        std::fs::create_dir_all(&directory)?;
        Ok(std::fs::write(directory.join(name), text)?)
    }

    /// Loses the copies of repositories, as another instance never had them.
    pub fn lose_copies(&self) -> Result<()> {
        self.copies()?.iter().try_for_each(std::fs::remove_dir_all)?;
        Ok(())
    }

    /// Returns where the copies of repositories are.
    pub fn copies(&self) -> Result<Vec<PathBuf>> {
        let all = std::fs::read_dir(self.copies.path())?;
        let paths: Vec<PathBuf> = all.map(|copy| Ok(copy?.path())).collect::<Result<_>>()?;
        Ok(paths.into_iter().filter(|path| path.is_dir()).collect())
    }

    /// Removes a file in a tenant's directory.
    pub fn remove(&self, tenant: &str, path: &str) -> Result<()> {
        Ok(std::fs::remove_file(self.file(tenant, path)?)?)
    }

    /// Returns the directory that holds the tenants'.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Returns the live memories of a tenant, in order.
    pub async fn memories(&self, tenant: &str) -> Result<Vec<String>> {
        let select = "select content from memory.memories where tenant_id = $1 and state = 'live' order by content";
        Ok(sqlx::query_scalar(select)
            .bind(tenant)
            .fetch_all(&self.memory.ground.root)
            .await?)
    }

    /// Claims the next job, as a worker does.
    pub async fn claim(&self) -> Result<Claimed> {
        let claimed = store::claim(&self.state.pool, LEASE, 2).await?;
        claimed.context("there is a job to claim")
    }

    /// Returns what a worker needs.
    pub fn context(&self) -> Context {
        self.state.context()
    }

    /// Lets every lease and every pause run out, as after a crash and some time.
    pub async fn let_time_pass(&self) -> Result<()> {
        sqlx::query("update sync.jobs set lease_until = '-infinity' where lease_until is not null")
            .execute(&self.memory.ground.root)
            .await?;
        sqlx::query("update sync.jobs set run_after = '-infinity'")
            .execute(&self.memory.ground.root)
            .await?;
        Ok(())
    }
}

/// Makes the state of an instance of its command line.
pub fn assemble(line: &[String]) -> Result<State> {
    let Serve { kit, sync } = CommandLine::try_parse_from(line)?.serve;
    State::assemble(&Foundation::lay(&sync_service::definition(), &kit)?, &kit, &sync)
}

/// Serves a state behind a real socket; returns where.
pub async fn serve(state: State, readiness: Readiness) -> Result<String> {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new()
        .build_recorder()
        .handle();
    let stack = Stack {
        readiness,
        scrape: Scrape {
            recorder,
            pool: Some(state.pool.clone()),
        },
        open_to_browsers: state.authenticator.is_disabled(),
    };
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let served = stack.wrap(router(state));
    tokio::spawn(async move { axum::serve(listener, served).await });
    Ok(url)
}

/// A start of a directory into memories of a team.
pub fn directory(path: &str) -> Value {
    json!({"source": {"type": "directory", "config": {"path": path}}, "target": {"type": "memory", "layer": "team"}})
}

/// Checks the status and the counts of a job.
pub fn expect_job(answer: &Answer, status: &str, counts: &Value) -> Result<()> {
    ensure!(answer.body["status"] == status, "not {status}: {}", answer.text);
    for (name, count) in counts.as_object().into_iter().flatten() {
        ensure!(
            answer.body["progress"][name] == *count,
            "{name} is not {count}: {}",
            answer.text
        );
    }
    Ok(())
}
