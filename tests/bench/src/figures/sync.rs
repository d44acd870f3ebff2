//! The sync service: looking at a job, and starting one.
//!
//! Ours: `GET /api/v1/sync/status/{id}` and `POST /api/v1/sync/start`, each start with a source of its own; the service has no
//! worker, so nothing else runs. Bare: the store's operation behind each, through a pool of as many connections.

use aeterna_kit::auth::TenantScope;
use aeterna_kit::ids::TenantId;
use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};
use sqlx::PgPool;
use sync_service::connection::{Source, Target};
use sync_service::job::{Mode, Options};
use sync_service::store::{self, NewJob, Over, Recorded};
use uuid::Uuid;

use super::served::{Expected, Served};
use crate::corpus::pick;
use crate::ground::Ground;
use crate::http::render;
use crate::rounds::{CLIENTS, Client, alternate, run};
use crate::table::Row;

/// Jobs that are looked at.
const JOBS: usize = 2_000;

/// Tasks of a round.
const READS: u64 = 8_000;
const WRITES: usize = 1_000;

/// Measures both.
pub async fn measure(ground: &Ground) -> Result<Vec<Row>> {
    for set in sync_service::definition().migrations {
        set.run(&ground.pool).await?;
    }
    let served = start(ground).await?;
    let bare = Bare {
        pool: ground.pool.clone(),
        scope: TenantScope::for_worker(TenantId::parse("synced")?),
    };
    let mut jobs = Vec::new();
    for n in 0..JOBS {
        jobs.push(bare.start(&source(&format!("filled/{n}"))).await?);
    }
    let mut rows = Vec::from(measure_status(&served, &bare, &jobs).await?);
    rows.extend(measure_start(&served, &bare).await?);
    Ok(rows)
}

async fn start(ground: &Ground) -> Result<Served> {
    let directory = ground.dir();
    let directory = directory.to_string_lossy();
    let variables = [
        ("SYNC_DIRECTORY_ROOT", &*directory),
        // Only asked for its form: no job runs.
        ("MEMORY_SERVICE_URL", "http://127.0.0.1:9"),
        ("SYNC_JOBS_AT_ONCE", "0"),
    ];
    Served::start(ground, "sync-service", &variables).await
}

async fn measure_status(served: &Served, bare: &Bare, jobs: &[Uuid]) -> Result<[Row; 2]> {
    let wanted: Vec<Uuid> = (0..READS)
        .filter_map(|n| jobs.get(pick(n, jobs.len())).copied())
        .collect();
    let tenant = bare.scope.tenant().as_str();
    let requests: Vec<Vec<u8>> = wanted
        .iter()
        .map(|id| render("GET", &format!("/api/v1/sync/status/{id}"), tenant, ""))
        .collect();
    let expected = Expected {
        status: 200,
        part: "\"status\":\"queued\"",
    };
    let reads: Vec<Task> = wanted.into_iter().map(Task::Read).collect();
    let (ours, theirs) = alternate(
        async |_| run(served.callers(expected).await?, requests.clone()).await,
        async |_| run(vec![bare.clone(); CLIENTS], reads.clone()).await,
    )
    .await?;
    Ok(Row::endpoint("sync: GET one job", &ours, &theirs))
}

async fn measure_start(served: &Served, bare: &Bare) -> Result<[Row; 2]> {
    let tenant = bare.scope.tenant().as_str();
    let expected = Expected {
        status: 202,
        part: "\"status\":\"queued\"",
    };
    let (ours, theirs) = alternate(
        async |round| {
            let request = |n| {
                let body = json!({"source": source(&format!("ours/{round}/{n}")), "target": target()});
                render("POST", "/api/v1/sync/start", tenant, &body.to_string())
            };
            run(served.callers(expected).await?, (0..WRITES).map(request).collect()).await
        },
        async |round| {
            let task = |n| Task::Write(source(&format!("bare/{round}/{n}")));
            run(vec![bare.clone(); CLIENTS], (0..WRITES).map(task).collect()).await
        },
    )
    .await?;
    Ok(Row::endpoint("sync: start one job", &ours, &theirs))
}

fn source(path: &str) -> Value {
    json!({"type": "directory", "config": {"path": path}})
}

fn target() -> Value {
    json!({"type": "memory", "layer": "team"})
}

/// What a client of the bare side does.
#[derive(Debug, Clone)]
enum Task {
    Read(Uuid),
    Write(Value),
}

#[derive(Debug, Clone)]
struct Bare {
    pool: PgPool,
    scope: TenantScope,
}

impl Bare {
    async fn start(&self, source: &Value) -> Result<Uuid> {
        let (source, target): (Source, Target) = (
            serde_json::from_value(source.clone())?,
            serde_json::from_value(target())?,
        );
        let new = NewJob {
            over: Over::Pair(&source, &target),
            mode: Mode::default(),
            options: &Options::default(),
            key: None,
            created_by: "bench",
            roles: &["TenantAdmin".to_owned()],
        };
        match store::record_job(&self.pool, &self.scope, new).await? {
            Recorded::New(job) => Ok(job.id),
            other @ (Recorded::Same(_) | Recorded::KeyTaken(_) | Recorded::Busy(_) | Recorded::NoConnection) => {
                bail!("no new job: {other:?}")
            }
        }
    }
}

impl Client<Task> for Bare {
    async fn work(&mut self, task: &Task) -> Result<()> {
        match task {
            Task::Read(id) => {
                let found = store::fetch(&self.pool, &self.scope, *id).await?;
                ensure!(found.is_some(), "job {id} is not there");
                Ok(())
            }
            Task::Write(source) => self.start(source).await.map(|_| ()),
        }
    }
}
