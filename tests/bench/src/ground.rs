//! What a measurement stands on: a database, a vector store, a shared shard, and tenants with memories.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::{Limits, connect_lazy};
use aeterna_kit::ids::TenantId;
use aeterna_projection::apply::{Applied, Applier, Pending};
use aeterna_projection::store::{Store, Stores};
use aeterna_projection::truth::{self, Kind, Outcome, Row, State, WriteItem, Written};
use aeterna_tenancy::moves::{self, Move, NewMove};
use aeterna_tenancy::shards::{NewShard, Shard};
use aeterna_tenancy::{ShardId, Term, leader, routes, shards};
use aeterna_testkit::{Postgres, free_port, output};
use anyhow::{Context as _, Result, ensure};
use memory_service::embedding::Local;
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use tempfile::TempDir;
use uuid::Uuid;

use crate::corpus::Corpus;
use crate::process::Process;

/// The local model, which every release brings along.
pub const MODEL: &str = "wordllama-256";

/// The model's dimension.
const DIMENSION: i32 = 256;

/// Rows of one request while a tenant is filled.
const BATCH: usize = 500;

/// How long the store may take for what is not measured.
const PATIENCE: Duration = Duration::from_secs(30);

/// The repository, for what is not a binary of the workspace.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The ground; what it started ends with it.
pub struct Ground {
    /// A pool as a service has it.
    pub pool: PgPool,
    /// The database.
    pub database_url: String,
    /// The vector store.
    pub store_url: String,
    /// The term of the operator that we stand for.
    pub term: Term,
    /// The vector stores' clients.
    pub stores: Arc<Stores>,
    /// The model.
    pub model: Local,
    /// Where the model's weights are.
    pub weights: String,
    /// What is written and searched.
    pub corpus: Corpus,
    // In this order: the store ends before its directory.
    _store: Process,
    dir: TempDir,
}

impl Ground {
    /// Lays an empty ground on a server.
    pub async fn lay(server: &Postgres) -> Result<Self> {
        let database_url = server.fresh_database().await?;
        let pool = connect_lazy(&database_url, "bench", Limits::default())?;
        for set in memory_service::definition().migrations {
            set.run(&pool).await?;
        }
        let dir = tempfile::Builder::new().prefix("aeterna-bench-").tempdir()?;
        let port = free_port()?;
        let (listen, data) = (format!("127.0.0.1:{port}"), dir.path().join("points"));
        let arguments = ["--listen", &listen, "--data", &data.to_string_lossy()];
        let mut store = Process::start(dir.path(), "aeterna-vectorstore", &arguments, &[])?;
        store.wait_for_port(port).await?;
        let weights = fetch_weights()?;
        Ok(Self {
            term: leader::raise_term(&pool).await?,
            pool,
            database_url,
            store_url: format!("http://{listen}"),
            stores: Arc::new(Stores::new(None)),
            model: Local::load(Path::new(&weights))?,
            weights,
            corpus: Corpus::new(),
            _store: store,
            dir,
        })
    }

    /// Returns the directory for logs.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Returns the vector store's client.
    pub fn store(&self) -> Result<Store> {
        Ok(self.stores.at(&self.store_url)?)
    }

    /// Records a shard for so many tenants, makes its collection and declares it ready, as the operator does.
    pub async fn shard(&self, name: &str, capacity: i32) -> Result<Shard> {
        let new = NewShard {
            shard_id: ShardId::new(name),
            tenant: None,
            endpoint: self.store_url.clone(),
            collection: format!("memories-{name}"),
            model: MODEL.to_owned(),
            dimension: DIMENSION,
            capacity,
        };
        let shard = shards::record_shard(&self.pool, self.term, &new).await?;
        self.store()?.ensure_collection(&shard).await?;
        shards::mark_ready(&self.pool, self.term, &shard).await?;
        Ok(shard)
    }

    /// Registers a tenant on the shared shard, which is made when it is missing.
    pub async fn tenant(&self, name: &str) -> Result<TenantScope> {
        self.shard("shared-shard-1", 100).await?;
        let tenant = TenantId::parse(name)?;
        routes::register_on_first_write(&self.pool, &tenant).await?;
        Ok(TenantScope::for_worker(tenant))
    }

    /// Returns where a tenant lives.
    pub async fn place(&self, scope: &TenantScope) -> Result<(Shard, routes::Route)> {
        let route = routes::fetch_route(&self.pool, scope.tenant())
            .await?
            .context("no route")?;
        let shard = shards::fetch_shard(&self.pool, &route.shard_id)
            .await?
            .context("no shard")?;
        Ok((shard, route))
    }

    /// Records a move of a tenant, as the operator does.
    pub async fn begin_move(&self, scope: &TenantScope, target: &Shard) -> Result<Move> {
        let new = NewMove {
            tenant: scope.tenant().clone(),
            operation: format!("bench/{}", Uuid::new_v4()),
            target: target.shard_id.clone(),
            retention: jiff::SignedDuration::from_hours(1),
        };
        Ok(moves::record(&self.pool, self.term, &new).await?)
    }

    /// Makes the `n`th memory, embedded.
    pub fn item(&self, n: u64) -> Result<WriteItem> {
        let text = self.corpus.text(n);
        Ok(WriteItem {
            layer: Some("team".to_owned()),
            embedding: self.model.embed(&text)?,
            content_hash: Sha256::digest(&text).to_vec(),
            content: Some(text),
            ..WriteItem::bare(Kind::Create, Uuid::now_v7())
        })
    }

    /// Gives a tenant so many memories; returns their ids. The planner's statistics are fresh afterwards.
    pub async fn fill(&self, scope: &TenantScope, count: u64) -> Result<Vec<Uuid>> {
        let applier = Applier::new(self.pool.clone(), Stores::new(None));
        let items: Vec<WriteItem> = (0..count).map(|n| self.item(n)).collect::<Result<_>>()?;
        let mut ids = Vec::new();
        for items in items.chunks(BATCH) {
            let written = truth::write(&self.pool, scope, MODEL, items, PATIENCE).await?;
            let first = written.first().context("nothing was written")?;
            let (shard, generation) = (first.shard.clone(), first.generation);
            let rows = items
                .iter()
                .zip(&written)
                .map(|(item, done)| pending(item, done))
                .collect::<Result<_>>()?;
            let applied = applier.apply(scope, &shard, generation, rows, PATIENCE).await;
            ensure!(applied == Applied::Indexed, "the store takes nothing");
            ids.extend(written.iter().map(|done| done.id));
        }
        truth::analyze_if_grown(&self.pool).await?;
        Ok(ids)
    }
}

/// The row of a created memory, as the memory service hands it on.
pub fn pending(item: &WriteItem, done: &Written) -> Result<Pending> {
    ensure!(done.outcome == Outcome::Created, "not created: {done:?}");
    Ok(Pending {
        row: Row {
            point_id: done.point_id.context("a memory has a point")?,
            id: done.id,
            version: done.version.context("a memory has a version")?,
            state: State::Live,
            layer: item.layer.clone().unwrap_or_default(),
            identifiers: item.identifiers.clone(),
            tags: item.tags.clone(),
            content_hash: item.content_hash.clone(),
            embedding: item.embedding.clone(),
        },
        outbox_id: done.outbox_id.context("a created memory is in the outbox")?,
    })
}

/// Returns where the weights are that `make build` fetches.
fn fetch_weights() -> Result<String> {
    let printed = output(Command::new(format!("{ROOT}/services/memory/fetch-weights.sh")))?;
    Ok(printed.lines().last().unwrap_or_default().to_owned())
}
