//! Storing a memory, searchable when it is answered.
//!
//! Ours: `POST /api/v1/memories` with a text, which the service embeds; the answer must say that it is indexed. Bare:
//! `memory.write` of one memory, embedded beforehand, then the upsert of its point, both acknowledged, through a pool of as
//! many connections. The service also confirms its outbox rows; the bare operation's are confirmed after its round. Writers
//! of one tenant that arrive together share commits and upserts in the service, which the bare operation does not.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aeterna_kit::auth::TenantScope;
use aeterna_projection::apply::Pending;
use aeterna_projection::store::{Stamp, Store};
use aeterna_projection::truth::{self, Confirmation, WriteItem};
use aeterna_tenancy::Generation;
use aeterna_tenancy::shards::Shard;
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use sqlx::PgPool;

use super::served::{Expected, Served};
use crate::ground::{Ground, MODEL, pending};
use crate::http::render;
use crate::rounds::{CLIENTS, Client, alternate, run};
use crate::table::Row;

/// Memories of a round.
const TASKS: u64 = 2_000;

/// How long the outbox rows of a bare round are left alone by the service's relay.
const CLAIM: Duration = Duration::from_secs(600);

/// The longest request to the store.
const DEADLINE: Duration = Duration::from_secs(5);

/// Measures writes.
pub async fn measure(ground: &Ground, served: &Served) -> Result<Vec<Row>> {
    let scope = ground.tenant("writer").await?;
    ground.fill(&scope, TASKS).await?;
    let client = Bare::new(ground, &scope).await?;
    let expected = Expected {
        status: 201,
        part: "\"indexState\":\"indexed\"",
    };
    let (ours, bare) = alternate(
        async |round| {
            let request = |n| {
                let body = json!({"content": ground.corpus.text(n), "layer": "team"}).to_string();
                render("POST", "/api/v1/memories", scope.tenant().as_str(), &body)
            };
            let requests = numbers(2 * round).map(request).collect();
            run(served.callers(expected).await?, requests).await
        },
        async |round| {
            let items = numbers(2 * round + 1)
                .map(|n| ground.item(n))
                .collect::<Result<Vec<_>>>()?;
            let done = run(vec![client.clone(); CLIENTS], items).await?;
            client.confirm().await.map(|()| done)
        },
    )
    .await?;
    Ok(Row::endpoint("POST one memory", &ours, &bare).into())
}

/// The numbers of a half round's texts; those of the filling are lower.
fn numbers(half: usize) -> impl Iterator<Item = u64> {
    let first = (u64::try_from(half).unwrap_or_default() + 1) * TASKS;
    first..first + TASKS
}

#[derive(Debug, Clone)]
struct Bare {
    pool: PgPool,
    store: Store,
    scope: TenantScope,
    shard: Shard,
    generation: Generation,
    unconfirmed: Arc<Mutex<Vec<Confirmation>>>,
}

impl Bare {
    async fn new(ground: &Ground, scope: &TenantScope) -> Result<Self> {
        let (shard, route) = ground.place(scope).await?;
        Ok(Self {
            pool: ground.pool.clone(),
            store: ground.store()?,
            scope: scope.clone(),
            shard,
            generation: route.generation,
            unconfirmed: Arc::default(),
        })
    }

    /// Confirms what was applied, so that the relay has nothing to do.
    async fn confirm(&self) -> Result<()> {
        let done = std::mem::take(&mut *self.unconfirmed.lock().unwrap_or_else(PoisonError::into_inner));
        let confirmed = truth::confirm(&self.pool, &self.scope, self.shard.identity, self.generation, &done).await?;
        ensure!(
            confirmed.len() == done.len(),
            "{} of {} are confirmed",
            confirmed.len(),
            done.len()
        );
        Ok(())
    }
}

impl Client<WriteItem> for Bare {
    async fn work(&mut self, item: &WriteItem) -> Result<()> {
        let written = truth::write(&self.pool, &self.scope, MODEL, std::slice::from_ref(item), CLAIM).await?;
        let Pending { row, outbox_id } = pending(item, written.first().context("one answer")?)?;
        let stamp = Stamp {
            tenant: self.scope.tenant(),
            generation: self.generation,
        };
        let (point_id, version) = (row.point_id, row.version);
        self.store
            .upsert(&self.shard.collection, stamp, &[row], DEADLINE)
            .await?;
        self.unconfirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Confirmation {
                outbox_id,
                point_id,
                version,
            });
        Ok(())
    }
}
