//! Reading one memory by its id.
//!
//! Ours: `GET /api/v1/memories/{id}`. Bare: `memory.fetch`, the SQL function behind it, with the answer decoded, through a
//! pool of as many connections.

use aeterna_kit::auth::TenantScope;
use anyhow::{Result, ensure};
use memory_service::store;
use sqlx::PgPool;
use uuid::Uuid;

use super::served::{Expected, Read, Served};
use crate::corpus::pick;
use crate::ground::Ground;
use crate::http::render;
use crate::rounds::{CLIENTS, Client, alternate, run};
use crate::table::Row;

/// Reads of a round.
const TASKS: u64 = 8_000;

/// Measures reads.
pub async fn measure(ground: &Ground, served: &Served, read: &Read) -> Result<Vec<Row>> {
    let tenant = read.scope.tenant().as_str();
    let ids: Vec<Uuid> = (0..TASKS)
        .filter_map(|n| read.ids.get(pick(n, read.ids.len())).copied())
        .collect();
    let requests: Vec<Vec<u8>> = ids
        .iter()
        .map(|id| render("GET", &format!("/api/v1/memories/{id}"), tenant, ""))
        .collect();
    let expected = Expected {
        status: 200,
        part: "\"content\":",
    };
    let (ours, bare) = alternate(
        async |_| run(served.callers(expected).await?, requests.clone()).await,
        async |_| run(vec![Bare::new(ground, &read.scope); CLIENTS], ids.clone()).await,
    )
    .await?;
    Ok(Row::endpoint("GET one memory", &ours, &bare).into())
}

#[derive(Debug, Clone)]
struct Bare {
    pool: PgPool,
    scope: TenantScope,
}

impl Bare {
    fn new(ground: &Ground, scope: &TenantScope) -> Self {
        Self {
            pool: ground.pool.clone(),
            scope: scope.clone(),
        }
    }
}

impl Client<Uuid> for Bare {
    async fn work(&mut self, id: &Uuid) -> Result<()> {
        let found = store::fetch(&self.pool, &self.scope, *id).await?;
        ensure!(found.is_some_and(|found| !found.gone), "{id} is not there");
        Ok(())
    }
}
