//! The governance service in this process, behind a real socket.

use std::net::Ipv4Addr;

use aeterna_kit::db::{Limits, connect_lazy};
use aeterna_kit::http::health::Scrape;
use aeterna_kit::http::stack::Stack;
use aeterna_kit::service::Foundation;
use aeterna_testkit::Postgres;
use anyhow::{Context as _, Result};
use clap::Parser;
use governance_service::router::router;
use governance_service::settings::Serve;
use governance_service::state::State;
use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use sqlx::PgPool;

use crate::api::service::{Answer, send};

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    serve: Serve,
}

/// An Ed25519 key for tests, as `openssl genpkey -algorithm ed25519` writes one.
const KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH
-----END PRIVATE KEY-----
";

/// A running service and what it runs on.
pub struct Service {
    /// The database's superuser, who sees and damages everything.
    pub root: PgPool,
    pub state: State,
    pub url: String,
    http: reqwest::Client,
    _dir: tempfile::TempDir,
}

/// Who asks.
#[derive(Clone, Copy)]
pub struct Who<'a> {
    pub tenant: &'a str,
    pub subject: &'a str,
    pub roles: &'a str,
}

/// A subject of the tenant acme with roles.
pub fn of_acme<'a>(subject: &'a str, roles: &'a str) -> Who<'a> {
    Who {
        tenant: "acme",
        subject,
        roles,
    }
}

impl Service {
    /// Starts a service in which nobody has to prove who they are, with a key and checkpoints.
    pub async fn start() -> Result<Self> {
        Self::start_on(Postgres::shared().await?, true).await
    }

    /// The same on a server of the test's own, or without a key.
    pub async fn start_on(server: &Postgres, with_key: bool) -> Result<Self> {
        Self::start_with(server, with_key, &[]).await
    }

    /// The same with options of its own.
    pub async fn start_with(server: &Postgres, with_key: bool, options: &[&str]) -> Result<Self> {
        // The memory service installs its own; here nobody does. Only the first call has an effect.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database_url = server.fresh_database().await?;
        let dir = tempfile::tempdir()?;
        let (key, checkpoints) = (dir.path().join("key.pem"), dir.path().join("checkpoints"));
        std::fs::write(&key, KEY)?;
        let (key, kept) = (
            key.to_string_lossy().into_owned(),
            checkpoints.to_string_lossy().into_owned(),
        );
        let mut line = vec!["service", "--auth-mode", "disabled", "--database-url", &database_url];
        if with_key {
            line.extend(["--signing-key-file", &key, "--audit-checkpoint-dir", &kept]);
        }
        line.extend(options);
        let Serve { kit, governance } = CommandLine::try_parse_from(line)?.serve;
        let definition = governance_service::definition();
        let laid = Foundation::lay(&definition, &kit)?;
        for set in &definition.migrations {
            set.run(&laid.pool).await?;
        }
        let state = State::assemble(&laid, &governance)?;
        let stack = Stack {
            readiness: laid.readiness.clone(),
            scrape: Scrape {
                recorder: PrometheusBuilder::new().build_recorder().handle(),
                pool: Some(laid.pool.clone()),
            },
            open_to_browsers: true,
        };
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let served = stack.wrap(router(state.clone()));
        tokio::spawn(async move { axum::serve(listener, served).await });
        Ok(Self {
            root: connect_lazy(&server.superuser(&database_url), "tests-root", Limits::default())?,
            state,
            url,
            http: reqwest::Client::new(),
            _dir: dir,
        })
    }

    /// Prepares a request.
    pub fn request(&self, method: Method, path: &str, who: Who<'_>) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.url))
            .header("X-Tenant-ID", who.tenant)
            .header("X-Subject", who.subject)
            .header("X-Roles", who.roles)
    }

    pub async fn get(&self, who: Who<'_>, path: &str) -> Result<Answer> {
        send(self.request(Method::GET, path, who)).await
    }

    pub async fn post(&self, who: Who<'_>, path: &str, body: &Value) -> Result<Answer> {
        send(self.request(Method::POST, path, who).json(body)).await
    }

    /// Puts a policy in force.
    pub async fn enforce(&self, tenant: &str, name: &str, text: &str) -> Result<String> {
        let who = Who {
            tenant,
            subject: "lawgiver",
            roles: "Architect",
        };
        let made = self
            .post(who, "/api/v1/policies", &super::bodies::cedar(name, text))
            .await?;
        made.expect(201)?;
        made.body["id"]
            .as_str()
            .map(str::to_owned)
            .context("a policy has an id")
    }

    /// Verifies the audit chain of a tenant.
    pub async fn verify(&self, tenant: &str) -> Result<Value> {
        let who = Who {
            tenant,
            subject: "auditor",
            roles: "TechLead",
        };
        let answer = self.get(who, "/api/v1/audit/verify").await?;
        answer.expect(200)?;
        Ok(answer.body)
    }

    /// Changes the database behind everybody's back, triggers and all.
    pub async fn damage(&self, statements: &[&str]) -> Result<()> {
        let mut tx = self.root.begin().await?;
        sqlx::query("set local session_replication_role = replica")
            .execute(&mut *tx)
            .await?;
        for statement in statements {
            sqlx::query(sqlx::AssertSqlSafe((*statement).to_owned()))
                .execute(&mut *tx)
                .await
                .with_context(|| (*statement).to_owned())?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Returns the events of acme as somebody reads them who may.
    pub async fn events(&self, filter: &str) -> Result<Vec<Value>> {
        let answer = self
            .get(of_acme("auditor", "TechLead"), &format!("/api/v1/audit?{filter}"))
            .await?;
        answer.expect(200)?;
        Ok(answer.body["items"].as_array().cloned().unwrap_or_default())
    }
}
