//! What a connection brings along when it goes back into its pool.

use std::time::Duration;

use aeterna_kit::db::{self, Limits, connect_lazy};
use aeterna_testkit::Postgres;
use anyhow::{Result, ensure};
use sqlx::PgPool;

/// Returns the transaction that a statement without one of its own is in.
async fn current_transaction(pool: &PgPool) -> sqlx::Result<String> {
    db::single("test", pool, async |connection| {
        sqlx::query_scalar("select pg_current_xact_id()::text")
            .fetch_one(connection)
            .await
    })
    .await
}

#[tokio::test]
async fn a_begin_that_is_abandoned_leaves_no_transaction_open() -> Result<()> {
    let url = Postgres::shared().await?.fresh_database().await?;
    for pooler in ["", "?pgbouncer=true"] {
        let limits = Limits {
            connections: 1,
            ..Limits::default()
        };
        let pool = connect_lazy(&format!("{url}{pooler}"), "tests", limits)?;
        current_transaction(&pool).await?;
        for _ in 0..4 {
            let idle = async {
                while pool.num_idle() == 0 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(5), idle).await?;
            let mut begun = Box::pin(db::begin(&pool));
            // Asked for, and not answered yet.
            ensure!(futures::poll!(begun.as_mut()).is_pending(), "begun at once");
            drop(begun);
            let (first, second) = (current_transaction(&pool).await?, current_transaction(&pool).await?);
            ensure!(first != second, "two statements share a transaction");
        }
    }
    Ok(())
}
