//! The memory service in this process, behind a real socket.

use std::net::Ipv4Addr;
use std::sync::OnceLock;

use aeterna_kit::http::health::Scrape;
use aeterna_kit::http::observe;
use aeterna_kit::http::stack::Stack;
use aeterna_kit::service::Foundation;
use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use memory_service::router::router;
use memory_service::settings::Serve;
use memory_service::state::State;
use metrics_exporter_prometheus::PrometheusHandle;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use super::model::ModelServer;
use crate::ground::{Ground, MODEL};

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    serve: Serve,
}

/// The process has one recorder.
static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// A running service and what it runs on.
pub struct Service {
    pub ground: Ground,
    pub model: ModelServer,
    pub url: String,
    http: reqwest::Client,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

impl Answer {
    /// Checks that it is a problem of this kind, in the form that all problems have.
    pub fn expect_problem(&self, status: u16, code: &str) -> Result<()> {
        let shown = format!("{} {}", self.status, self.text);
        ensure!(
            self.status == status && self.body["code"] == code,
            "not {status} {code}: {shown}"
        );
        let kind = self.headers.get(CONTENT_TYPE).context("no Content-Type")?;
        ensure!(kind == "application/problem+json", "{kind:?}");
        ensure!(self.body["status"] == status, "{shown}");
        for field in ["type", "title", "detail", "instance", "requestId"] {
            ensure!(
                self.body[field].as_str().is_some_and(|text| !text.is_empty()),
                "no {field}: {shown}"
            );
        }
        let retryable = self.body["retryable"] == true;
        ensure!(
            retryable == self.headers.contains_key("retry-after"),
            "Retry-After: {shown}"
        );
        Ok(())
    }

    /// Checks the status.
    pub fn expect(&self, status: u16) -> Result<()> {
        ensure!(self.status == status, "not {status}: {} {}", self.status, self.text);
        Ok(())
    }

    /// Returns the id of the memory in it.
    pub fn id(&self) -> Result<Uuid> {
        let id = self.body["id"].as_str().context("no id")?;
        Ok(id.parse()?)
    }
}

impl Service {
    /// Starts a service in which nobody has to prove who they are; requests that name no tenant are about `default`.
    pub async fn start() -> Result<Self> {
        Self::start_on(
            Ground::new().await?,
            &["--auth-mode", "disabled", "--auth-default-tenant", "default"],
        )
        .await
    }

    /// Starts a service with options of its own.
    pub async fn start_on(ground: Ground, options: &[&str]) -> Result<Self> {
        let model = ModelServer::default();
        let entry = json!([{"name": MODEL, "openAICompatible": {"endpoint": model.start().await?, "model": "any", "dimension": 16}}]);
        let entry = entry.to_string();
        let line = [
            "service",
            "--database-url",
            &ground.database_url,
            "--embedding-models",
            &entry,
            "--embedding-default",
            MODEL,
        ];
        let Serve { kit, memory } = CommandLine::try_parse_from(line.iter().chain(options))?.serve;
        let laid = Foundation::lay(&memory_service::definition(), &kit)?;
        let state = State::assemble(&laid, &memory)?;
        state.spawn_workers();
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
        let served = stack.wrap(router(state));
        tokio::spawn(async move { axum::serve(listener, served).await });
        Ok(Self {
            ground,
            model,
            url,
            http: reqwest::Client::new(),
        })
    }

    /// Prepares a request.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// Posts a body as a tenant.
    pub async fn post(&self, tenant: &str, path: &str, body: &Value) -> Result<Answer> {
        send(
            self.request(Method::POST, path)
                .header("X-Tenant-ID", tenant)
                .json(body),
        )
        .await
    }

    /// Stores a memory of a tenant.
    pub async fn store(&self, tenant: &str, content: &str) -> Result<Uuid> {
        let answer = self
            .create(tenant, &json!({"content": content, "layer": "team"}))
            .await?;
        answer.expect(201)?;
        answer.id()
    }

    /// Asks for a memory to be stored.
    pub async fn create(&self, tenant: &str, body: &Value) -> Result<Answer> {
        self.post(tenant, "/api/v1/memories", body).await
    }

    /// Searches as a tenant.
    pub async fn search(&self, tenant: &str, body: &Value) -> Result<Answer> {
        self.post(tenant, "/api/v1/memories/search", body).await
    }

    /// Reads a memory of a tenant.
    pub async fn get(&self, tenant: &str, id: Uuid) -> Result<Answer> {
        let path = format!("/api/v1/memories/{id}");
        send(self.request(Method::GET, &path).header("X-Tenant-ID", tenant)).await
    }

    /// Deletes a memory of a tenant.
    pub async fn delete(&self, tenant: &str, id: Uuid) -> Result<Answer> {
        let path = format!("/api/v1/memories/{id}");
        send(self.request(Method::DELETE, &path).header("X-Tenant-ID", tenant)).await
    }

    /// Counts the rows of all tenants, whatever their state.
    pub async fn count_rows(&self) -> Result<i64> {
        Ok(sqlx::query_scalar("select count(*) from memory.memories")
            .fetch_one(&self.ground.root)
            .await?)
    }
}

/// Returns the recorder of the process, which is the memory service's whoever comes first.
pub fn recorder() -> PrometheusHandle {
    match RECORDER.get() {
        Some(recorder) => recorder.clone(),
        None => match observe::install("memory-service") {
            Ok(installed) => RECORDER.get_or_init(|| installed).clone(),
            // Another test was quicker by a hair, and has yet to say so.
            Err(_) => RECORDER.wait().clone(),
        },
    }
}

/// Sends a request and reads its answer to the end.
pub async fn send(request: RequestBuilder) -> Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or_default();
    Ok(Answer {
        status,
        headers,
        text,
        body,
    })
}

/// Returns the ids of a search's hits, best first.
pub fn found(answer: &Answer) -> Vec<Uuid> {
    let items = answer.body["items"].as_array().cloned().unwrap_or_default();
    let id = |item: &Value| item["memory"]["id"].as_str()?.parse().ok();
    items.iter().filter_map(id).collect()
}
