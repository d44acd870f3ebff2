//! Tenants do not see each other, and take turns.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use sync_service::job::{Event, Status};
use sync_service::store;
use sync_service::worker::{LEASE, drive};

use super::service::{Sync, directory};

#[tokio::test]
async fn a_foreign_tenant_sees_nothing_by_any_route() -> Result<()> {
    let sync = Sync::start().await?;
    sync.write("acme", "bad.md", b"\xff")?;
    let job = sync.run_job("acme", &directory("")).await?;
    let (id, connection) = (job.id()?, &job.body["connectionId"]);
    let reject: uuid::Uuid = sqlx::query_scalar("select id from sync.rejects")
        .fetch_one(&sync.memory.ground.root)
        .await?;
    sync.get("globex", &format!("/api/v1/sync/status/{id}"))
        .await?
        .expect_problem(404, "JOB_NOT_FOUND")?;
    sync.post("globex", &format!("/api/v1/sync/cancel/{id}"), &json!({}))
        .await?
        .expect_problem(404, "JOB_NOT_FOUND")?;
    sync.post("globex", &format!("/api/v1/sync/retry/{reject}"), &json!({}))
        .await?
        .expect_problem(404, "REJECT_NOT_FOUND")?;
    sync.start_job("globex", &json!({"connectionId": connection}))
        .await?
        .expect_problem(404, "CONNECTION_NOT_FOUND")?;
    for list in ["jobs", "rejects"] {
        let path = format!(
            "/api/v1/sync/{list}?connectionId={}",
            connection.as_str().unwrap_or_default()
        );
        let seen = sync.get("globex", &path).await?;
        ensure!(
            seen.status == 200 && seen.body["items"] == json!([]),
            "{list}: {}",
            seen.text
        );
        ensure!(sync.get("acme", &path).await?.body["items"][0].is_object(), "{list}");
    }
    Ok(())
}

#[tokio::test]
async fn no_table_shows_a_row_without_a_tenant_and_the_system_sees_only_active_jobs() -> Result<()> {
    let sync = Sync::by_hand().await?;
    // A row in every table: an item, a reject, a schedule, a webhook and a delivery of acme's.
    sync.write("acme", "a/good.md", "text")?;
    sync.write("acme", "a/bad.md", b"\xff")?;
    let whole = sync.start_job("acme", &directory("a")).await?;
    drive(&sync.context(), sync.claim().await?).await;
    for (table, columns, values) in [
        (
            "schedules",
            "cron, timezone, mode, created_by, roles",
            "'@daily', 'UTC', 'full', 'ann', '{}'",
        ),
        ("webhooks", "secret_ref, created_by, roles", "'hook', 'ann', '{}'"),
        ("deliveries", "delivery_id", "'d-1'"),
    ] {
        let insert = format!(
            "insert into sync.{table} (tenant_id, connection_id, {columns}) values ('acme', $1::uuid, {values})"
        );
        sqlx::query(sqlx::AssertSqlSafe(insert))
            .bind(whole.body["connectionId"].as_str())
            .execute(&sync.memory.ground.root)
            .await?;
    }
    let over = sync.start_job("acme", &directory("a")).await?.id()?;
    sync.post("acme", &format!("/api/v1/sync/cancel/{over}"), &json!({}))
        .await?
        .expect(200)?;
    sync.start_job("globex", &directory("a")).await?.expect(202)?;
    let tables: Vec<(String, bool)> = sqlx::query_as(
        "select relname::text, relrowsecurity and relforcerowsecurity from pg_class
         where relnamespace = 'sync'::regnamespace and relkind = 'r' and relname not like '\\_sqlx%'",
    )
    .fetch_all(&sync.memory.ground.root)
    .await?;
    ensure!(tables.len() >= 8, "{tables:?}");
    for (table, forced) in tables {
        ensure!(forced, "row-level security of {table} is not on and forced");
        let count = format!("select count(*) from sync.{table} where tenant_id = 'acme'");
        let there: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count))
            .fetch_one(&sync.memory.ground.root)
            .await?;
        ensure!(there > 0, "{table} is empty: nothing is proved");
        let mut tx = sync.memory.ground.pool.begin().await?;
        sqlx::query("set local role aeterna_app").execute(&mut *tx).await?;
        let count = format!("select count(*) from sync.{table}");
        let seen: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count))
            .fetch_one(&mut *tx)
            .await?;
        ensure!(seen == 0, "{table} shows {seen} rows without a tenant");
        // Nor does one tenant see another's, or write there.
        sqlx::query("select set_config('app.tenant_id', 'initech', true)")
            .execute(&mut *tx)
            .await?;
        let foreign = format!("select count(*) from sync.{table} where tenant_id <> 'initech'");
        let seen: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(foreign))
            .fetch_one(&mut *tx)
            .await?;
        ensure!(seen == 0, "{table} shows {seen} rows of others");
    }
    let mut tx = aeterna_kit::db::system_tx(&sync.memory.ground.pool).await?;
    let seen: Vec<String> = sqlx::query_scalar("select tenant_id from sync.jobs")
        .fetch_all(&mut *tx)
        .await?;
    ensure!(seen == ["globex"], "{seen:?}");
    ensure!(sqlx::query("select 1 from sync.items").execute(&mut *tx).await.is_err());
    drop(tx);
    let mut tx = sync.memory.ground.pool.begin().await?;
    sqlx::query("set local role aeterna_app").execute(&mut *tx).await?;
    sqlx::query("select set_config('app.tenant_id', 'initech', true)")
        .execute(&mut *tx)
        .await?;
    let insert = "insert into sync.items (tenant_id, connection_id, external_id) values ('acme', $1::uuid, 'x')";
    let refused = sqlx::query(insert)
        .bind(whole.body["connectionId"].as_str())
        .execute(&mut *tx)
        .await;
    let error = refused.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(error.contains("row-level security"), "{error}");
    Ok(())
}

#[tokio::test]
async fn tenants_take_turns_however_many_jobs_one_has() -> Result<()> {
    let sync = Sync::by_hand().await?;
    for n in 0..6 {
        sync.start_job("acme", &directory(&format!("a{n}")))
            .await?
            .expect(202)?;
    }
    sync.start_job("globex", &directory("g")).await?.expect(202)?;
    sync.start_job("initech", &directory("i")).await?.expect(202)?;
    let mut order = Vec::new();
    while let Some(claimed) = store::claim(&sync.state.pool, LEASE, 2).await? {
        order.push(claimed.fence.scope.tenant().to_string());
    }
    // Two of acme's at once, and no more: the rest waits for a place.
    ensure!(order == ["acme", "globex", "initech", "acme"], "{order:?}");
    Ok(())
}

#[tokio::test]
async fn many_workers_claim_each_job_once_and_no_tenant_gets_more_than_its_places() -> Result<()> {
    let sync = Sync::by_hand().await?;
    for n in 0..10 {
        sync.start_job("acme", &directory(&format!("a{n}")))
            .await?
            .expect(202)?;
        sync.start_job(&format!("t{n}"), &directory("x")).await?.expect(202)?;
    }
    for round in 0..20 {
        claim_all(&sync).await.with_context(|| format!("round {round}"))?;
        sqlx::query("update sync.jobs set status = 'queued', lease_until = null")
            .execute(&sync.memory.ground.root)
            .await?;
    }
    Ok(())
}

/// Sixteen workers claim what there is: of acme's ten jobs three, of each other tenant's its one.
async fn claim_all(sync: &Sync) -> Result<()> {
    let claims = (0..16).map(|_| async {
        let mut claimed = Vec::new();
        // A look that meets a locked turn finds nothing, and looks again.
        for _ in 0..20 {
            if let Some(job) = store::claim(&sync.state.pool, LEASE, 3).await? {
                claimed.push((job.fence.scope.tenant().to_string(), job.fence.job));
            }
        }
        anyhow::Ok(claimed)
    });
    let mut all: Vec<_> = futures::future::try_join_all(claims)
        .await?
        .into_iter()
        .flatten()
        .collect();
    let of_acme = all.iter().filter(|(tenant, _)| tenant == "acme").count();
    ensure!((of_acme, all.len()) == (3, 13), "{of_acme} of {}", all.len());
    all.sort();
    all.dedup();
    ensure!(all.len() == 13, "a job was claimed twice");
    Ok(())
}

#[tokio::test]
async fn a_claim_makes_the_step_that_the_state_machine_says() -> Result<()> {
    let sync = Sync::by_hand().await?;
    for before in [Status::Queued, Status::Running, Status::Cancelling] {
        sync.start_job("acme", &directory(before.as_str())).await?.expect(202)?;
        sqlx::query("update sync.jobs set status = $1, lease_until = '-infinity' where status = 'queued'")
            .bind(before.as_str())
            .execute(&sync.memory.ground.root)
            .await?;
        let claimed = sync.claim().await?;
        ensure!(
            Some(claimed.status) == before.after(Event::Claimed),
            "{before:?}: {:?}",
            claimed.status
        );
        sqlx::query("update sync.jobs set status = 'failed'")
            .execute(&sync.memory.ground.root)
            .await?;
    }
    Ok(())
}
