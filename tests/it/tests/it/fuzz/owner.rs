//! The services with what one tenant has in them, and what nobody else may see of it.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::sample::{Known, Request, requests};
use crate::api::service::{Answer, Service as Memory, send};
use crate::governance::bodies;
use crate::governance::service::{Service as Governance, of_acme};
use crate::knowledge::service::{ADMIN, Service as Knowledge};
use crate::sync::service::{Sync, directory};

/// A word that is in the owner's texts, and that strangers ask with.
pub const MARKER: &str = "zebrafinch";

/// A word that is in the owner's texts, and that nobody asks with.
pub const SECRET: &str = "quaggaheart";

/// Where the owner's item is.
pub const PATH: &str = "teams/zebrafinch/plan.md";

/// Who asks: tenant, subject, roles.
pub type Caller<'a> = (&'a str, &'a str, &'a str);

/// A service, as far as it matters who asks it.
pub struct Subject {
    pub name: &'static str,
    pub document: Value,
    pub url: String,
    pub root: PgPool,
    /// The schema that holds its data.
    pub schema: &'static str,
    /// Ids of what the owner has.
    pub ids: BTreeSet<String>,
    /// Routes whose senders sign what they send: method and path.
    pub signed: &'static [(&'static str, &'static str)],
    http: reqwest::Client,
}

impl Subject {
    fn new(name: &'static str, document: &str, url: &str, root: &PgPool, schema: &'static str) -> Result<Self> {
        Ok(Self {
            name,
            document: serde_json::from_str(document)?,
            url: url.to_owned(),
            root: root.clone(),
            schema,
            ids: BTreeSet::new(),
            signed: &[],
            http: reqwest::Client::new(),
        })
    }

    /// Remembers the ids of an answer.
    fn learn(&mut self, answer: &Answer) -> Result<()> {
        ensure!((200..300).contains(&answer.status), "{}: {}", self.name, answer.text);
        let is_separator = |byte: char| !(byte.is_ascii_hexdigit() || byte == '-');
        let words = answer
            .text
            .split(is_separator)
            .filter(|word| word.parse::<uuid::Uuid>().is_ok());
        self.ids.extend(words.map(str::to_owned));
        Ok(())
    }

    /// Makes all requests that there are about one of the owner's ids.
    pub fn requests(&self, id: &str) -> Vec<Request> {
        let known = Known {
            id,
            path: PATH,
            word: MARKER,
        };
        let mut made = requests(&self.document, known);
        if self.name == "governance" {
            // Its bodies are checked before anybody is let in, so they must fit.
            for request in made.iter_mut().filter(|request| request.body.is_some()) {
                let mut body = bodies::valid(&request.url);
                if body.get("requestNumber").is_some() {
                    body = json!({"requestId": id, "decision": "approve", "comment": "fine"});
                }
                request.body = Some(body);
            }
        }
        made
    }

    /// Sends a request.
    pub async fn send(&self, (tenant, subject, roles): Caller<'_>, request: &Request) -> Result<Answer> {
        let mut asked: RequestBuilder = self
            .http
            .request(request.method.clone(), format!("{}{}", self.url, request.url))
            .header("X-Tenant-ID", tenant)
            .header("X-Subject", subject)
            .header("X-Roles", roles)
            .header("If-Match", "\"1\"");
        // An agent acts for somebody, or it is none.
        if roles == "Agent" {
            asked = asked.header("X-On-Behalf-Of", "somebody");
        }
        if let Some(body) = &request.body {
            asked = asked.json(body);
        }
        if let Some(archive) = &request.archive {
            asked = asked.header("Content-Type", "application/x-tar").body(archive.clone());
        }
        send(asked).await
    }

    /// Returns a hash over everything that a tenant has in the service's tables.
    pub async fn digest(&self, tenant: &str) -> Result<String> {
        let tables: Vec<String> = sqlx::query_scalar(
            "select table_name::text from information_schema.columns
             where table_schema = $1 and column_name = 'tenant_id' order by table_name",
        )
        .bind(self.schema)
        .fetch_all(&self.root)
        .await?;
        ensure!(!tables.is_empty(), "{} has no tables", self.schema);
        let mut digest = String::new();
        for table in tables {
            let query = format!(
                "select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {}.{table} t where tenant_id = $1",
                self.schema
            );
            let one: String = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
                .bind(tenant)
                .fetch_one(&self.root)
                .await?;
            digest.extend([table.as_str(), " ", one.as_str(), "\n"]);
        }
        Ok(digest)
    }
}

/// Seeds the memory service.
pub async fn memory(service: &Memory) -> Result<Subject> {
    let document = include_str!("../../../../../services/memory/openapi.json");
    let mut subject = Subject::new("memory", document, &service.url, &service.ground.root, "memory")?;
    let body = json!({"content": format!("what only acme knows: {SECRET}"), "layer": "team"});
    subject.learn(&service.create("acme", &body).await?)?;
    Ok(subject)
}

/// Seeds the knowledge service.
pub async fn knowledge(service: &Knowledge) -> Result<Subject> {
    let document = include_str!("../../../../../services/knowledge/openapi.json");
    let mut subject = Subject::new("knowledge", document, &service.url, &service.root, "knowledge")?;
    let body = json!({
        "path": PATH, "content": format!("# The {SECRET}\nwhat only acme knows of the {MARKER}"), "kind": "note",
        "layer": "team", "tags": [SECRET], "status": "accepted",
    });
    subject.learn(&service.post(ADMIN, "/knowledge", &body).await?)?;
    // Items are known by their paths; an id is never one of theirs.
    subject.ids.insert(uuid::Uuid::nil().to_string());
    Ok(subject)
}

/// Seeds the governance service.
pub async fn governance(service: &Governance) -> Result<Subject> {
    let document = include_str!("../../../../../services/governance/openapi.json");
    let mut subject = Subject::new("governance", document, &service.url, &service.root, "governance")?;
    let (ann, dev, root) = (
        of_acme("ann", "Architect"),
        of_acme("dev", "Developer"),
        of_acme("root", "Admin"),
    );
    let policy = service
        .post(ann, "/api/v1/policies", &bodies::constraint(SECRET))
        .await?;
    subject.learn(&policy)?;
    let asked = json!({
        "requestType": "sync", "title": SECRET, "payload": {"source": SECRET}, "riskLevel": "low", "justification": SECRET,
    });
    let request = service.post(dev, "/api/v1/approval/request", &asked).await?;
    subject.learn(&request)?;
    let vote = json!({"requestId": request.body["id"], "decision": "abstain", "comment": SECRET});
    subject.learn(&service.post(ann, "/api/v1/approval/decide", &vote).await?)?;
    let grant = json!({"principal": SECRET, "role": "Viewer"});
    subject.learn(&service.post(root, "/api/v1/roles/grant", &grant).await?)?;
    Ok(subject)
}

/// Seeds the sync service; its job has ended, with a reject, and its connection has a schedule and a webhook.
pub async fn sync(service: &Sync) -> Result<Subject> {
    let document = include_str!("../../../../../services/sync/openapi.json");
    let mut subject = Subject::new("sync", document, service.url(), &service.memory.ground.root, "sync")?;
    service.write("acme", &format!("{SECRET}/{SECRET}.md"), b"\xff")?;
    service.write("acme", &format!("{SECRET}/good.md"), "text")?;
    subject.signed = sync_service::permissions::PERMISSIONS.signed;
    let job = service.run_job("acme", &directory(SECRET)).await?;
    subject.learn(&job)?;
    let connection = job.body["connectionId"].as_str().context("a connection")?;
    service.write_secret("acme", &format!("{SECRET}.hmac"), "what deliveries are signed with")?;
    for (path, body) in [
        ("schedules", json!({"cron": "0 3 1 1 *"})),
        ("webhooks", json!({"secretRef": SECRET})),
    ] {
        let set = service
            .request(reqwest::Method::PUT, &format!("/api/v1/sync/{path}/{connection}"))
            .header("X-Tenant-ID", "acme")
            .header("X-Subject", SECRET)
            .header("X-Roles", "TenantAdmin");
        let set = send(set.json(&body)).await?;
        ensure!(set.text.contains(SECRET), "{path} do not show it: {}", set.text);
        subject.learn(&set)?;
    }
    subject.learn(&service.get("acme", "/api/v1/sync/rejects").await?)?;
    subject.ids.iter().next().context("a job has an id")?;
    Ok(subject)
}
