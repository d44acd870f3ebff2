//! Attacks on the truth: isolation levels, purges, expiry, rows that vanish.

use std::time::Duration;

use aeterna_kit::db::Limits;
use aeterna_projection::truth::{self, Kind, Outcome, WriteItem};
use aeterna_relocator::drive::Context;
use aeterna_relocator::{Point, Probe, verifier};
use aeterna_tenancy::moves::Step;
use anyhow::{Context as _, Result, ensure};
use sqlx::Connection as _;
use uuid::Uuid;

use crate::ground::{Ground, MODEL, PATIENCE, create};

#[tokio::test(flavor = "multi_thread")]
async fn attack_10_an_id_that_is_purged_and_made_again_is_found_and_its_orphan_is_not() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    let id = Uuid::now_v7();
    ground.write(&tenant, vec![create(id, "the first life")]).await?;
    // Somebody purges the row by hand and leaves its point.
    sqlx::query("delete from memory.memories where id = $1")
        .bind(id)
        .execute(&ground.root)
        .await?;
    ground.write(&tenant, vec![create(id, "the second life")]).await?;
    let found = verifier::verify(&ground.context, "acme").await?;
    ensure!((found.orphaned, found.repaired) == (1, 1), "{found:?}");
    let points = ground.search(&tenant, "the second life").await?;
    ensure!(points.len() == 1, "the orphan is still found: {points:?}");
    let away = ground.dedicated(&tenant).await?;
    ground.relocate(&tenant, &away).await?;
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_19_what_is_deleted_during_copy_and_expires_during_verify_is_not_in_the_target() -> Result<()> {
    let ground = std::sync::Arc::new(Ground::new().await?);
    let tenant = ground.tenant("acme").await?;
    let ids = ground.fill(&tenant, 1_500).await?;
    let soon = jiff::Timestamp::UNIX_EPOCH;
    let expiring = WriteItem {
        expires_at: Some(soon),
        ..create(Uuid::now_v7(), "expires")
    };
    ground.write(&tenant, vec![expiring.clone()]).await?;
    let away = ground.dedicated(&tenant).await?;
    let id = ground
        .begin(&tenant, &away, jiff::SignedDuration::from_hours(1))
        .await?;
    let probe = {
        let (ground, tenant) = (std::sync::Arc::clone(&ground), tenant.clone());
        Probe::new(move |point| {
            let (ground, tenant, ids, expiring) = (ground.clone(), tenant.clone(), ids.clone(), expiring.id);
            Box::pin(async move {
                match point {
                    Point::PageApplied => {
                        for gone in ids.iter().take(50) {
                            ground.delete(&tenant, *gone).await.expect("a delete during Copy");
                        }
                    }
                    Point::Begin(Step::Verify) => {
                        let item = WriteItem::bare(Kind::Expire, expiring);
                        ground
                            .write(&tenant, vec![item])
                            .await
                            .expect("an expiry during Verify");
                    }
                    Point::Begin(_)
                    | Point::Worked(_)
                    | Point::Saved(_)
                    | Point::FenceClosed
                    | Point::DeltaApplied
                    | Point::Flipped
                    | Point::CleanupDeleted => {}
                }
            })
        })
    };
    let context = Context {
        probe,
        ..ground.context.clone()
    };
    ground.drive_until(&context, &tenant, id, Step::Retain).await?;
    ensure!(!ground.search(&tenant, "expires").await?.is_empty(), "others are found");
    ground.assert_exact(&tenant).await?;
    let live: i64 = sqlx::query_scalar("select count(*) from memory.memories where state = 'live'")
        .fetch_one(&ground.root)
        .await?;
    ensure!(live == 1_450, "{live} live rows");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_22_a_database_whose_default_is_repeatable_read_takes_no_write_from_an_old_snapshot() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    let name: String = sqlx::query_scalar("select current_database()")
        .fetch_one(&ground.root)
        .await?;
    let alter = format!("alter database \"{name}\" set default_transaction_isolation = 'repeatable read'");
    sqlx::query(sqlx::AssertSqlSafe(alter)).execute(&ground.root).await?;

    // The kit's own connections say what they need.
    let pool = aeterna_kit::db::connect_lazy(&ground.database_url, "tests", Limits::default())?;
    truth::write(&pool, &tenant.scope, MODEL, &[create(Uuid::now_v7(), "fine")], PATIENCE).await?;
    // A connection that does not is refused by the function itself.
    let mut raw = sqlx::PgConnection::connect(&ground.database_url).await?;
    let refused = sqlx::query("select * from memory.write('acme', $1, '[]', '{}', '{}', interval '1 s')")
        .bind(MODEL)
        .execute(&mut raw)
        .await
        .expect_err("an old snapshot could hold the route of before a flip");
    let code = refused
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .context("an SQLSTATE")?;
    ensure!(code == "AE004", "{refused}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_that_is_made_again_after_its_deletion_has_a_higher_version() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    let id = Uuid::now_v7();
    let first = ground.write(&tenant, vec![create(id, "one")]).await?;
    ensure!(ground.delete(&tenant, id).await? == Outcome::Deleted, "it was there");
    ensure!(ground.delete(&tenant, id).await? == Outcome::Absent, "it is gone");
    let second = ground.write(&tenant, vec![create(id, "two")]).await?;
    let version = |written: &[truth::Written]| written.first().and_then(|done| done.version);
    ensure!(version(&second) > version(&first), "{first:?} {second:?}");
    ensure!(ground.search(&tenant, "two").await?.len() == 1, "it is found");
    ground.assert_exact(&tenant).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_that_was_damaged_in_the_store_is_found_and_repaired() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 700).await?;
    let (shard, generation) = ground.place(&tenant).await?;
    // Lost: one point. Stale: what the store has is older than what the row says now.
    let lost: Uuid = sqlx::query_scalar("select point_id from memory.memories order by point_id offset 600 limit 1")
        .fetch_one(&ground.root)
        .await?;
    ground.delete_points(&shard.collection, &[lost]).await?;
    sqlx::query(
        "update memory.memories set version = nextval('memory.versions'), content_hash = 'x', changed_xid = '3'
         where point_id = (select max(point_id::text)::uuid from memory.memories)",
    )
    .execute(&ground.root)
    .await?;
    let found = verifier::verify(&ground.context, "acme").await?;
    ensure!(
        (found.compared, found.missing, found.stale, found.repaired) == (700, 1, 1, 2),
        "{found:?}"
    );
    ground.assert_exact(&tenant).await?;
    let points = ground.qdrant().fetch(&shard.collection, &[lost], PATIENCE).await?;
    ensure!(
        points.first().map(|point| point.generation) == Some(generation.0),
        "stamped as the route says"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_meets_a_closed_fence_is_told_to_come_back() -> Result<()> {
    let ground = Ground::new().await?;
    let tenant = ground.tenant("acme").await?;
    let mut fence = ground.pool.begin().await?;
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('acme', 0))")
        .execute(&mut *fence)
        .await?;
    let refused = truth::write(
        &ground.pool,
        &tenant.scope,
        MODEL,
        &[create(Uuid::now_v7(), "x")],
        Duration::ZERO,
    )
    .await;
    ensure!(matches!(refused, Err(truth::Error::Fenced { .. })), "{refused:?}");
    fence.rollback().await?;
    let other = truth::write(
        &ground.pool,
        &tenant.scope,
        "other-model",
        &[create(Uuid::now_v7(), "x")],
        Duration::ZERO,
    )
    .await;
    ensure!(
        matches!(&other, Err(truth::Error::ModelDiffers { wanted }) if wanted == MODEL),
        "{other:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_scope_shows_no_row_of_another() -> Result<()> {
    let ground = Ground::new().await?;
    let (acme, globex) = (ground.tenant("acme").await?, ground.tenant("globex").await?);
    ground.fill(&acme, 5).await?;
    let mut tx = aeterna_kit::db::tenant_tx(&ground.pool, &globex.scope).await?;
    for table in ["memory.memories", "memory.outbox"] {
        let count = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        let seen: i64 = sqlx::query_scalar(count).fetch_one(&mut *tx).await?;
        ensure!(seen == 0, "{seen} foreign rows of {table}");
    }
    let routes: Vec<String> = sqlx::query_scalar("select tenant_id from routing.tenants")
        .fetch_all(&mut *tx)
        .await?;
    ensure!(routes == ["globex"], "{routes:?}");
    Ok(())
}
