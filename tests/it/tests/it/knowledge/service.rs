//! The knowledge service in this process, behind a real socket.

use std::net::Ipv4Addr;
use std::time::Duration;

use aeterna_kit::db::{Limits, connect_lazy};
use aeterna_kit::http::health::Scrape;
use aeterna_kit::http::stack::Stack;
use aeterna_kit::service::Foundation;
use aeterna_testkit::Postgres;
use anyhow::{Result, ensure};
use clap::Parser;
use knowledge_service::router::router;
use knowledge_service::settings::Serve;
use knowledge_service::state::State;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::time::Instant;

use crate::api::service::{Answer, recorder, send};

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    serve: Serve,
}

/// A running service and its database.
pub struct Service {
    /// The server's superuser, who sees everything.
    pub root: PgPool,
    pub url: String,
    /// What its handlers share.
    pub state: State,
    http: reqwest::Client,
}

/// A caller: its tenant, who it is, and its role.
#[derive(Debug, Clone, Copy)]
pub struct As(pub &'static str, pub &'static str, pub &'static str);

/// Who may do everything in its tenant.
pub const ADMIN: As = As("acme", "ann", "TenantAdmin");

impl Service {
    pub async fn start() -> Result<Self> {
        Self::start_on(Postgres::shared().await?, &["--auth-mode", "disabled"]).await
    }

    /// Starts a service on a fresh database of a server, with options of its own.
    pub async fn start_on(server: &Postgres, options: &[&str]) -> Result<Self> {
        let database = server.fresh_database().await?;
        let line = ["service", "--database-url", &database];
        let Serve { kit, knowledge } = CommandLine::try_parse_from(line.iter().chain(options))?.serve;
        let definition = knowledge_service::definition();
        let limits = Limits::default();
        let straight = connect_lazy(&database, "tests", limits)?;
        for set in &definition.migrations {
            set.run(&straight).await?;
        }
        let laid = Foundation::lay(&definition, &kit)?;
        let stack = Stack {
            readiness: laid.readiness.clone(),
            scrape: Scrape {
                recorder: recorder(),
                pool: Some(laid.pool.clone()),
            },
            open_to_browsers: laid.authenticator.is_disabled(),
        };
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = State::assemble(&laid, &knowledge)?;
        let served = stack.wrap(router(state.clone()));
        tokio::spawn(async move { axum::serve(listener, served).await });
        Ok(Self {
            root: connect_lazy(&server.superuser(&database), "tests-root", limits)?,
            url,
            state,
            http: reqwest::Client::new(),
        })
    }

    /// Prepares a request of a caller; `path` is what follows `/api/v1`.
    pub fn request(&self, who: As, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}/api/v1{path}", self.url))
            .header("X-Tenant-ID", who.0)
            .header("X-Subject", who.1)
            .header("X-Roles", who.2)
    }

    pub async fn get(&self, who: As, path: &str) -> Result<Answer> {
        send(self.request(who, Method::GET, path)).await
    }

    pub async fn post(&self, who: As, path: &str, body: &Value) -> Result<Answer> {
        send(self.request(who, Method::POST, path).json(body)).await
    }

    /// Writes over what is at a path, whatever its version.
    pub async fn put(&self, who: As, path: &str, body: &Value) -> Result<Answer> {
        let path = format!("/knowledge/{path}");
        send(self.request(who, Method::PUT, &path).header("If-Match", "*").json(body)).await
    }

    /// Stores a note of the layer team.
    pub async fn note(&self, who: As, path: &str, content: &str) -> Result<Answer> {
        let body = json!({"path": path, "content": content, "kind": "note", "layer": "team"});
        self.post(who, "/knowledge", &body).await
    }
}

/// Waits for a condition.
pub async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds().await? {
        ensure!(Instant::now() < deadline, "{what}: not within 30 s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
