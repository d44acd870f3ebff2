//! The governance service: a decision over HTTP and in the process, and making a policy.
//!
//! Ours: `POST /api/v1/policies/evaluate` and `POST /api/v1/policies`. Bare: the store's operations behind each (who the
//! caller is, whose roles the question is about, which version the tenant's set has; the policy with its event in the
//! tenant's chain), through a pool of as many connections. Writers of one tenant stand in a row at its chain, on both sides.

use std::time::Instant;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::clock;
use aeterna_kit::ids::TenantId;
use anyhow::{Context as _, Result, ensure};
use governance_service::audit::{Actor, Event, Outcome};
use governance_service::engine::compiled::Compiled;
use governance_service::engine::{Principal, Question, Resource};
use governance_service::policy::Document;
use governance_service::rbac::Role;
use governance_service::store::roles::Standing;
use governance_service::store::{Scoped, audit, policies};
use serde_json::{Map, Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::served::{Expected, Served};
use crate::ground::Ground;
use crate::http::render;
use crate::rounds::{CLIENTS, Client, alternate, run};
use crate::stats::Sample;
use crate::table::Row;

/// Policies that are about the action that is asked for.
const CANDIDATES: usize = 50;

/// Tasks of a round.
const READS: usize = 4_000;
const WRITES: usize = 500;

/// Decisions that are timed one by one.
const DECISIONS: u32 = 50_000;

/// Measures all three.
pub async fn measure(ground: &Ground) -> Result<Vec<Row>> {
    for set in governance_service::definition().migrations {
        set.run(&ground.pool).await?;
    }
    let served = Served::start(ground, "governance-service", &[]).await?;
    let bare = Bare {
        pool: ground.pool.clone(),
        scope: TenantScope::for_worker(TenantId::parse("governed")?),
    };
    bare.fill().await?;
    let mut rows = vec![bare.measure_decision().await?];
    rows.extend(measure_evaluate(&served, &bare).await?);
    rows.extend(measure_create(&served, &bare).await?);
    Ok(rows)
}

async fn measure_evaluate(served: &Served, bare: &Bare) -> Result<[Row; 2]> {
    let body = json!({
        "subject": {"type": "user", "id": "tom", "properties": {"roles": ["TechLead"]}},
        "action": {"name": "memory.delete"}, "resource": {"type": "memory", "id": "m1"},
    });
    let tenant = bare.scope.tenant().as_str();
    let request = render("POST", "/api/v1/policies/evaluate", tenant, &body.to_string());
    let expected = Expected {
        status: 200,
        part: "\"decision\":true",
    };
    let (ours, theirs) = alternate(
        async |_| run(served.callers(expected).await?, vec![request.clone(); READS]).await,
        async |_| run(vec![bare.clone(); CLIENTS], vec![Task::Read; READS]).await,
    )
    .await?;
    Ok(Row::endpoint("governance: a decision", &ours, &theirs))
}

async fn measure_create(served: &Served, bare: &Bare) -> Result<[Row; 2]> {
    let tenant = bare.scope.tenant().as_str();
    let expected = Expected {
        status: 201,
        part: "\"version\":1",
    };
    let (ours, theirs) = alternate(
        async |round| {
            let request = |n| {
                let body = policy(&format!("ours {round} {n}"), "draft").to_string();
                render("POST", "/api/v1/policies", tenant, &body)
            };
            run(served.callers(expected).await?, (0..WRITES).map(request).collect()).await
        },
        async |round| {
            let task = |n| Task::Write(policy(&format!("bare {round} {n}"), "draft"));
            run(vec![bare.clone(); CLIENTS], (0..WRITES).map(task).collect()).await
        },
    )
    .await?;
    Ok(Row::endpoint("governance: POST one policy", &ours, &theirs))
}

/// A policy about the action that is asked for, which does not hold for what is asked about.
fn policy(name: &str, status: &str) -> Value {
    let text = format!(
        "forbid (principal, action == Action::\"memory.delete\", resource) \
         when {{ resource has layer && resource.layer == \"{name}\" }};"
    );
    json!({
        "name": name, "type": "cedar", "layer": "company", "mode": "mandatory", "status": status, "cedar": text,
    })
}

/// What a client of the bare side does.
#[derive(Debug, Clone)]
enum Task {
    Read,
    Write(Value),
}

#[derive(Debug, Clone)]
struct Bare {
    pool: PgPool,
    scope: TenantScope,
}

impl Bare {
    async fn fill(&self) -> Result<()> {
        for n in 0..CANDIDATES {
            self.create(&policy(&format!("layer {n}"), "active")).await?;
        }
        Ok(())
    }

    async fn create(&self, policy: &Value) -> Result<()> {
        let document: Document = serde_json::from_value(policy.clone())?;
        let id = Uuid::now_v7();
        let mut tx = Scoped::open(&self.pool, &self.scope).await?;
        let made = policies::create(&mut tx, id, &document, "bench").await?;
        ensure!(made.is_some(), "{} is taken", document.name);
        let event = Event {
            actor: Actor::system(),
            action: "policy.create".to_owned(),
            target: ("Policy", id.to_string()),
            outcome: Outcome::Allow,
            decision_id: None,
            details: Map::new(),
        };
        audit::append(&mut tx, &event).await?;
        Ok(tx.commit().await?)
    }

    /// Times decisions of the tenant's compiled set, one after the other.
    async fn measure_decision(&self) -> Result<Row> {
        let mut tx = Scoped::open(&self.pool, &self.scope).await?;
        let (_, active) = policies::fetch_active(&mut tx).await?;
        tx.commit().await?;
        ensure!(active.len() == CANDIDATES, "{} policies are active", active.len());
        let set = Compiled::build(active);
        let question = Question {
            principal: Principal {
                id: "tom".to_owned(),
                roles: vec![Role::parse("TechLead").context("a role")?],
                ..Principal::default()
            },
            action: "memory.delete".to_owned(),
            resource: Resource {
                kind: "Memory".to_owned(),
                id: "m1".to_owned(),
                ..Resource::default()
            },
            context: Map::new(),
        };
        let (now, mut took) = (clock::now(), Sample::default());
        for _ in 0..DECISIONS {
            let asked = Instant::now();
            let decision = set.decide(&question, now);
            took.push(asked.elapsed().as_secs_f64() * 1e6);
            ensure!(decision.allowed, "{decision:?}");
        }
        let figure = format!("governance: a decision in the process, {CANDIDATES} candidates, p50");
        Ok(Row::limit(figure, took.median(), 50.0, "µs"))
    }
}

impl Client<Task> for Bare {
    async fn work(&mut self, task: &Task) -> Result<()> {
        match task {
            Task::Read => {
                let standing = Standing::fetch(&self.pool, &self.scope, &["anonymous", "tom"]).await?;
                ensure!(standing.version > 0, "the set has no version");
                Ok(())
            }
            Task::Write(policy) => self.create(policy).await,
        }
    }
}
