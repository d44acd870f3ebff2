//! A git repository made with git's own command line, served over smart HTTP by git's own server side.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// What the server asks for, and how often it was asked for objects.
#[derive(Debug, Default)]
struct Watched {
    authorization: Option<String>,
    fetches: usize,
}

/// A repository and its server.
pub struct Repository {
    work: tempfile::TempDir,
    url: String,
    watched: Arc<Mutex<Watched>>,
}

impl Repository {
    /// Makes an empty repository and serves it at `/team/docs.git`.
    pub async fn start() -> Result<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let repository = Self {
            work: tempfile::tempdir()?,
            url: format!("http://{}/team/docs.git", listener.local_addr()?),
            watched: Arc::default(),
        };
        repository.git(&["init", "--quiet", "--initial-branch=main"]).await?;
        let served = (repository.work.path().join(".git"), Arc::clone(&repository.watched));
        let router = Router::new().fallback(serve).with_state(served);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(repository)
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks for this header from now on.
    pub fn require(&self, authorization: &str) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.authorization = Some(authorization.to_owned());
    }

    /// Returns how often objects were asked for.
    pub fn fetches(&self) -> usize {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).fetches
    }

    /// Runs git in the repository.
    pub async fn git(&self, arguments: &[&str]) -> Result<String> {
        let run = Command::new("git")
            .args([
                "-c",
                "user.name=Ann",
                "-c",
                "user.email=ann@example.com",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(["-c", "core.hooksPath=/dev/null", "-c", "protocol.file.allow=always"])
            .args(arguments)
            .current_dir(self.work.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .await?;
        ensure!(
            run.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&run.stderr)
        );
        Ok(String::from_utf8_lossy(&run.stdout).trim().to_owned())
    }

    /// Returns a path in the work tree, whose parents are there.
    pub fn path(&self, path: &str) -> Result<std::path::PathBuf> {
        let path = self.work.path().join(path);
        std::fs::create_dir_all(path.parent().context("it has a parent")?)?;
        Ok(path)
    }

    /// Writes a file.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) -> Result<()> {
        Ok(std::fs::write(self.path(path)?, text)?)
    }

    /// Commits all that there is; returns the commit.
    pub async fn commit(&self) -> Result<String> {
        self.git(&["add", "--all"]).await?;
        self.git(&["commit", "--quiet", "--allow-empty", "--message=a change"])
            .await?;
        self.git(&["rev-parse", "HEAD"]).await
    }
}

async fn serve(
    State((directory, watched)): State<(std::path::PathBuf, Arc<Mutex<Watched>>)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    {
        let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if watched.authorization.is_some() && watched.authorization.as_deref() != shown {
            return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic")]).into_response();
        }
        let is_fetch = body.windows(13).any(|part| part == b"command=fetch");
        watched.fetches += usize::from(is_fetch);
    }
    let protocol = headers
        .get("git-protocol")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let (arguments, kind): (&[&str], _) = match (method, uri.path()) {
        (Method::GET, "/team/docs.git/info/refs") => (&["--http-backend-info-refs"], "advertisement"),
        (Method::POST, "/team/docs.git/git-upload-pack") => (&[], "result"),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match upload_pack(&directory, arguments, protocol, &body).await {
        Ok(answer) => {
            let kind = format!("application/x-git-upload-pack-{kind}");
            ([(header::CONTENT_TYPE, kind)], answer).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response(),
    }
}

async fn upload_pack(directory: &Path, arguments: &[&str], protocol: &str, body: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new("git")
        .args(["upload-pack", "--stateless-rpc"])
        .args(arguments)
        .arg(directory)
        .env("GIT_PROTOCOL", protocol)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().context("a pipe")?;
    let body = body.to_vec();
    let written = tokio::spawn(async move { input.write_all(&body).await });
    let answer = child.wait_with_output().await?;
    // Whoever has heard enough closes the pipe.
    drop(written.await?);
    Ok(answer.stdout)
}

/// A start of a repository into memories of a team.
pub fn repository(url: &str, path: &str) -> Value {
    json!({
        "source": {"type": "git", "config": {"url": url, "path": path}},
        "target": {"type": "memory", "layer": "team"},
    })
}
