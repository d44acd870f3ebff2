//! A fresh database, a vector store with its faults, shards, and a relocator to drive by hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::db::{Limits, connect_lazy};
use aeterna_kit::ids::TenantId;
use aeterna_projection::apply::{Applied, Applier, Pending};
use aeterna_projection::store::{Search, Store, Stores};
use aeterna_projection::truth::{self, Kind, Outcome, Row, State, WriteItem, Written};
use aeterna_relocator::drive::{Context, Ended, drive};
use aeterna_relocator::{Point, Probe, verifier};
use aeterna_tenancy::moves::{self, Move, NewMove, Step};
use aeterna_tenancy::shards::{NewShard, Shard};
use aeterna_tenancy::{MoveId, ShardId, Term, leader, naming, routes, shards};
use aeterna_testkit::Postgres;
use aeterna_vectorstore::{Faults, Running, Server};
use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use tokio::sync::Notify;
use uuid::Uuid;

/// The embedding model of all tests: a hash of the text, as a direction.
pub const MODEL: &str = "hash-16";
const DIMENSION: i32 = 16;

/// How long anything here may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct Ground {
    pub pool: PgPool,
    /// The server's superuser, who sees and damages everything.
    pub root: PgPool,
    pub term: Term,
    pub context: Context,
    pub applier: Applier,
    pub url: String,
    pub database_url: String,
    store: Running,
    _dir: tempfile::TempDir,
}

impl Ground {
    /// A database with all schemas, a store, and the shared shard `shared-shard-1`.
    pub async fn new() -> Result<Self> {
        Self::on(Postgres::shared().await?).await
    }

    /// The same on a server of the test's own, which it may stop.
    pub async fn on(server: &Postgres) -> Result<Self> {
        let database_url = server.fresh_database().await?;
        Self::through(server, &database_url, database_url.clone()).await
    }

    /// The same where everything but the migrations goes another way to the database.
    pub async fn through(server: &Postgres, direct: &str, database_url: String) -> Result<Self> {
        let limits = Limits {
            connections: 20,
            ..Limits::default()
        };
        let pool = connect_lazy(&database_url, "tests", limits)?;
        let straight = connect_lazy(direct, "tests-direct", limits)?;
        let root = connect_lazy(&server.superuser(direct), "tests-root", limits)?;
        for set in [
            aeterna_kit::migrate::kit_migrations(),
            aeterna_tenancy::migrations(),
            aeterna_projection::migrations(),
        ] {
            set.run(&straight).await?;
        }
        let dir = tempfile::tempdir()?;
        let store = Server::open(dir.path())?.start().await?;
        let stores = Arc::new(Stores::new(None));
        let context = Context {
            pool: pool.clone(),
            stores,
            probe: Probe::default(),
        };
        let term = leader::raise_term(&pool).await?;
        let applier = Applier::new(pool.clone(), Stores::new(None));
        let url = store.url();
        let ground = Self {
            pool,
            root,
            term,
            context,
            applier,
            url,
            database_url,
            store,
            _dir: dir,
        };
        ground.shared("shared-shard-1", "memories-shared").await?;
        Ok(ground)
    }

    pub fn faults(&self) -> &Faults {
        self.store.faults()
    }

    /// Records a shared shard, makes its collection and declares it ready.
    pub async fn shared(&self, name: &str, collection: &str) -> Result<Shard> {
        self.shard(self.new_shard(None, name, collection)).await
    }

    /// The tenant's dedicated shard.
    pub async fn dedicated(&self, tenant: &Tenant) -> Result<Shard> {
        let id = tenant.scope.tenant();
        let (name, collection) = (naming::dedicated_shard(id), naming::dedicated_collection(id, 1));
        self.shard(self.new_shard(Some(tenant), &name, &collection)).await
    }

    /// A shard of the test's store, for one tenant or for a hundred.
    pub fn new_shard(&self, tenant: Option<&Tenant>, name: &str, collection: &str) -> NewShard {
        NewShard {
            shard_id: ShardId::new(name),
            tenant: tenant.map(|tenant| tenant.scope.tenant().clone()),
            endpoint: self.url.clone(),
            collection: collection.to_owned(),
            model: MODEL.to_owned(),
            dimension: DIMENSION,
            capacity: if tenant.is_some() { 1 } else { 100 },
        }
    }

    async fn shard(&self, new: NewShard) -> Result<Shard> {
        let shard = shards::record_shard(&self.pool, self.term, &new).await?;
        self.qdrant().ensure_collection(&shard).await?;
        shards::mark_ready(&self.pool, self.term, &shard).await?;
        shards::fetch_shard(&self.pool, &new.shard_id)
            .await?
            .context("the shard was recorded")
    }

    pub fn qdrant(&self) -> Store {
        self.context.stores.at(&self.url).expect("a loopback URL")
    }

    /// Registers a tenant on the shared shard with the most room.
    pub async fn tenant(&self, name: &str) -> Result<Tenant> {
        let id = TenantId::parse(name)?;
        routes::register_on_first_write(&self.pool, &id).await?;
        Ok(Tenant {
            scope: TenantScope::for_worker(id),
        })
    }

    /// Writes and applies; returns what was written.
    pub async fn write(&self, tenant: &Tenant, items: Vec<WriteItem>) -> Result<Vec<Written>> {
        let written = truth::write(&self.pool, &tenant.scope, MODEL, &items, Duration::from_secs(1)).await?;
        self.apply(tenant, &items, &written, PATIENCE).await;
        Ok(written)
    }

    /// Hands written items to the applier as the memory service does.
    pub async fn apply(
        &self,
        tenant: &Tenant,
        items: &[WriteItem],
        written: &[Written],
        patience: Duration,
    ) -> Applied {
        let Some(first) = written.first() else {
            return Applied::Indexed;
        };
        let rows: Vec<Pending> = items
            .iter()
            .zip(written)
            .filter_map(|(item, done)| pending(item, done))
            .collect();
        self.applier
            .apply(&tenant.scope, &first.shard, first.generation, rows, patience)
            .await
    }

    /// Makes `count` memories; returns their ids.
    pub async fn fill(&self, tenant: &Tenant, count: usize) -> Result<Vec<Uuid>> {
        let mut ids = Vec::with_capacity(count);
        let texts: Vec<String> = (0..count)
            .map(|n| format!("memory {n} of {}", tenant.scope.tenant()))
            .collect();
        for chunk in texts.chunks(500) {
            let items = chunk.iter().map(|text| create(Uuid::now_v7(), text)).collect();
            ids.extend(self.write(tenant, items).await?.iter().map(|written| written.id));
        }
        Ok(ids)
    }

    pub async fn delete(&self, tenant: &Tenant, id: Uuid) -> Result<Outcome> {
        let written = self.write(tenant, vec![WriteItem::bare(Kind::Delete, id)]).await?;
        written.first().map(|done| done.outcome).context("one answer")
    }

    /// Records a move; retention 0 goes on to Clean by itself, an hour stays in Retain.
    pub async fn begin(&self, tenant: &Tenant, target: &Shard, retention: jiff::SignedDuration) -> Result<MoveId> {
        let new = NewMove {
            tenant: tenant.scope.tenant().clone(),
            operation: format!("test/{}", Uuid::new_v4()),
            target: target.shard_id.clone(),
            retention,
        };
        Ok(moves::record(&self.pool, self.term, &new).await?.move_id)
    }

    pub async fn fetch_move(&self, tenant: &Tenant, id: MoveId) -> Result<Move> {
        let moves = moves::fetch_moves(&self.pool, tenant.scope.tenant(), 50).await?;
        moves
            .into_iter()
            .find(|moving| moving.move_id == id)
            .context("the move was recorded")
    }

    /// Claims and drives moves until this one is at `until` or behind it.
    pub async fn drive_until(&self, context: &Context, tenant: &Tenant, id: MoveId, until: Step) -> Result<Move> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let moving = self.fetch_move(tenant, id).await?;
            if moving.progress.step >= until {
                return Ok(moving);
            }
            ensure!(
                tokio::time::Instant::now() < deadline,
                "the move is still at {:?}",
                moving.progress
            );
            match moves::claim(&self.pool, moves::LEASE).await? {
                Some(claimed) => {
                    let ended = drive(context, claimed).await;
                    ensure!(ended != Ended::Fenced, "nobody else drives moves here");
                }
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// Moves a tenant all the way to Retain, where an hour of retention keeps it.
    pub async fn relocate(&self, tenant: &Tenant, target: &Shard) -> Result<Move> {
        let id = self.begin(tenant, target, jiff::SignedDuration::from_hours(1)).await?;
        self.drive_until(&self.context, tenant, id, Step::Retain).await
    }

    /// Lets every lease run out, as after a crash and some seconds.
    pub async fn expire_leases(&self) -> Result<()> {
        sqlx::query("update routing.moves set lease_until = '-infinity', not_before = '-infinity'")
            .execute(&self.root)
            .await?;
        Ok(())
    }

    /// Applies leftovers of the outbox until none is left, without waiting for claims to run out.
    pub async fn settle_outbox(&self) -> Result<()> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            sqlx::query("update memory.outbox set claimed_until = '-infinity'")
                .execute(&self.root)
                .await?;
            let left = truth::claim_leftovers(&self.pool, 1_000, Duration::from_millis(1), &[]).await?;
            if left.is_empty() {
                return Ok(());
            }
            ensure!(
                tokio::time::Instant::now() < deadline,
                "{} points are never taken",
                left.len()
            );
            let mut tenants: BTreeMap<String, Vec<(i64, Uuid)>> = BTreeMap::new();
            for one in left {
                tenants
                    .entry(one.tenant_id)
                    .or_default()
                    .push((one.outbox_id, one.point_id));
            }
            for (tenant, outbox) in tenants {
                let scope = TenantScope::for_worker(TenantId::parse(tenant)?);
                self.applier.apply_current(&scope, &outbox).await?;
            }
        }
    }

    /// The property that finds most: with an empty outbox, the route's collection is exactly the live rows.
    pub async fn assert_exact(&self, tenant: &Tenant) -> Result<()> {
        self.settle_outbox().await?;
        let findings = verifier::verify(&self.context, tenant.scope.tenant().as_str()).await?;
        ensure!(
            (findings.missing, findings.stale, findings.orphaned, findings.foreign) == (0, 0, 0, 0),
            "the projection differs from the truth: {findings:?}"
        );
        let live: i64 =
            sqlx::query_scalar("select count(*) from memory.memories where tenant_id = $1 and state = 'live'")
                .bind(tenant.scope.tenant().as_str())
                .fetch_one(&self.root)
                .await?;
        let (shard, floor) = self.place(tenant).await?;
        let points = self
            .qdrant()
            .count(&shard.collection, tenant.scope.tenant(), floor)
            .await?;
        ensure!(u64::try_from(live)? == points, "{live} live rows, {points} points");
        Ok(())
    }

    /// Waits until a condition holds.
    pub async fn wait_until(&self, what: &str, mut holds: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !holds().await? {
            ensure!(tokio::time::Instant::now() < deadline, "never: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until a move that somebody else drives is at a step.
    pub async fn wait_for_step(&self, tenant: &Tenant, id: MoveId, step: Step) -> Result<()> {
        self.wait_until("the step", async || {
            Ok(self.fetch_move(tenant, id).await?.progress.step == step)
        })
        .await
    }

    /// Drives moves until one passes `point`, and drops everything there, as a crash does.
    pub async fn crash_at(&self, point: Point) -> Result<()> {
        let reached = Arc::new(Notify::new());
        let probe = {
            let reached = Arc::clone(&reached);
            Probe::new(move |passing| {
                let reached = Arc::clone(&reached);
                Box::pin(async move {
                    if passing == point {
                        reached.notify_one();
                        std::future::pending::<()>().await;
                    }
                })
            })
        };
        let context = Context {
            probe,
            ..self.context.clone()
        };
        let pool = self.pool.clone();
        let worker = tokio::spawn(async move {
            loop {
                match moves::claim(&pool, moves::LEASE).await {
                    Ok(Some(claimed)) => drop(drive(&context, claimed).await),
                    Ok(None) | Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        });
        let outcome = tokio::time::timeout(PATIENCE, reached.notified()).await;
        worker.abort();
        outcome.with_context(|| format!("{point:?} was never reached"))
    }

    /// Runs the ledger until it is empty, without waiting between runs.
    pub async fn run_cleanups(&self) -> Result<()> {
        loop {
            sqlx::query("update routing.cleanups set not_before = '-infinity'")
                .execute(&self.root)
                .await?;
            sqlx::query("update routing.moves set not_before = '-infinity'")
                .execute(&self.root)
                .await?;
            let due = aeterna_tenancy::cleanups::fetch_due(&self.pool).await?;
            if due.is_empty() {
                return Ok(());
            }
            for cleanup in due {
                aeterna_relocator::cleaner::clean(&self.context, &cleanup).await?;
            }
        }
    }

    /// Removes points behind everybody's back.
    pub async fn delete_points(&self, collection: &str, points: &[Uuid]) -> Result<()> {
        let client = qdrant_client::Qdrant::from_url(&self.url)
            .skip_compatibility_check()
            .build()?;
        let ids: Vec<qdrant_client::qdrant::PointId> = points.iter().map(|point| point.to_string().into()).collect();
        client
            .delete_points(
                qdrant_client::qdrant::DeletePointsBuilder::new(collection)
                    .points(ids)
                    .wait(true),
            )
            .await?;
        Ok(())
    }

    pub async fn place(&self, tenant: &Tenant) -> Result<(Shard, aeterna_tenancy::Generation)> {
        let route = routes::fetch_route(&self.pool, tenant.scope.tenant())
            .await?
            .context("the tenant has a route")?;
        let shard = shards::fetch_shard(&self.pool, &route.shard_id)
            .await?
            .context("the route's shard")?;
        Ok((shard, route.floor))
    }

    /// Searches the tenant's collection by rule R5 and returns the points found.
    pub async fn search(&self, tenant: &Tenant, text: &str) -> Result<Vec<Uuid>> {
        let (shard, floor) = self.place(tenant).await?;
        let search = Search {
            tenant: tenant.scope.tenant(),
            floor,
            vector: embed(text),
            layers: &[],
            identifiers: &BTreeMap::new(),
            tags: &[],
            limit: 100,
            threshold: None,
        };
        let hits = self.qdrant().search(&shard.collection, search, PATIENCE).await?;
        Ok(hits.into_iter().map(|hit| hit.point_id).collect())
    }
}

/// A registered tenant.
#[derive(Clone)]
pub struct Tenant {
    pub scope: TenantScope,
}

/// A create of a text.
pub fn create(id: Uuid, text: &str) -> WriteItem {
    WriteItem {
        layer: Some("user".to_owned()),
        content: Some(text.to_owned()),
        embedding: embed(text),
        content_hash: Sha256::digest(text).to_vec(),
        ..WriteItem::bare(Kind::Create, id)
    }
}

/// A direction that depends on the text alone.
pub fn embed(text: &str) -> Vec<f32> {
    Sha256::digest(text)
        .iter()
        .take(16)
        .map(|byte| f32::from(*byte) - 127.5)
        .collect()
}

/// The row of an item, as the memory service builds it for its own apply.
pub fn pending(item: &WriteItem, done: &Written) -> Option<Pending> {
    let deleted = item.kind != Kind::Create;
    let row = Row {
        point_id: done.point_id?,
        id: done.id,
        version: done.version?,
        state: if deleted { State::Deleted } else { State::Live },
        layer: item.layer.clone().unwrap_or_default(),
        identifiers: item.identifiers.clone(),
        tags: item.tags.clone(),
        content_hash: item.content_hash.clone(),
        embedding: if deleted { Vec::new() } else { item.embedding.clone() },
    };
    Some(Pending {
        row,
        outbox_id: done.outbox_id?,
    })
}
