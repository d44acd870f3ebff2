//! More items than one statement takes at once.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::json;
use sync_service::plan::seen_before;
use sync_service::store;

use super::service::{Sync, directory};
use crate::api::service::send;

/// Two whole pieces and a part of one.
const ITEMS: i64 = 25_000;

#[tokio::test]
async fn what_is_done_in_pieces_is_done_to_all() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let (pool, root) = (&sync.state.pool, &sync.memory.ground.root);
    let started = sync.start_job("acme", &directory("")).await?;
    let fence = sync.claim().await?.fence;
    sqlx::query(
        "insert into sync.items (tenant_id, connection_id, external_id, content_hash, seen_by)
         select 'acme', $1, 'Ä/' || n || '.md', case when n % 10 > 0 then sha256(n::text::bytea) end, $2
         from generate_series(1, $3) n",
    )
    .bind(fence.connection)
    .bind(fence.job)
    .bind(ITEMS)
    .execute(root)
    .await?;
    let expected: String = sqlx::query_scalar(
        "select encode(sha256(convert_to(string_agg(
             external_id || chr(31) || encode(content_hash, 'hex'), chr(10) order by external_id collate \"C\"), 'UTF8')), 'hex')
         from sync.items where content_hash is not null",
    )
    .fetch_one(root)
    .await?;
    ensure!(store::digest(pool, &fence).await? == (expected, false));

    ensure!(store::fetch_unseen(pool, &fence, "", 10).await?.is_empty());
    store::forget_seen(pool, &fence).await?;
    let forgotten: i64 = sqlx::query_scalar("select count(*) from sync.items where seen_by = $1")
        .bind(seen_before(fence.job))
        .fetch_one(root)
        .await?;
    ensure!(forgotten == ITEMS, "{forgotten}");
    let first = store::fetch_unseen(pool, &fence, "", 10).await?;
    let (last, _) = first.last().context("there are some")?;
    let second = store::fetch_unseen(pool, &fence, last, 10).await?;
    ensure!(first.len() == 10 && second.first().is_some_and(|(next, _)| next > last));

    let connection = format!("/api/v1/sync/connections/{}", fence.connection);
    let forget = || send(sync.request(Method::DELETE, &connection).header("X-Tenant-ID", "acme"));
    forget().await?.expect_problem(409, "SYNC_IN_PROGRESS")?;
    sqlx::query("update sync.jobs set status = 'failed', finished_at = now()")
        .execute(root)
        .await?;
    forget().await?.expect(204)?;
    let left: i64 = sqlx::query_scalar(
        "select (select count(*) from sync.items) + (select count(*) from sync.jobs) + (select count(*) from sync.connections)",
    )
    .fetch_one(root)
    .await?;
    ensure!(left == 0, "{left}");
    let job = sync
        .get("acme", &format!("/api/v1/sync/status/{}", started.id()?))
        .await?;
    job.expect_problem(404, "JOB_NOT_FOUND")?;
    ensure!(sync.get("acme", "/api/v1/sync/connections").await?.body["items"] == json!([]));
    Ok(())
}
