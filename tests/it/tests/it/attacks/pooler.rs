//! PgBouncer in transaction mode: every transaction may meet a server connection that another tenant has just left.

use std::sync::Arc;

use aeterna_testkit::{PgBouncer, Postgres};
use anyhow::{Result, ensure};
use futures::future::try_join_all;
use memory_service::store::{self, Predicates, Words};
use uuid::Uuid;

use crate::ground::{Ground, Tenant, create};

/// Server connections, for many more clients.
const CONNECTIONS: u32 = 4;

/// Writes of each tenant.
const WRITES: usize = 40;

async fn start() -> Result<(Ground, PgBouncer)> {
    let server = Postgres::shared().await?;
    let pooler = PgBouncer::start(server, CONNECTIONS).await?;
    let direct = server.fresh_database().await?;
    let ground = Ground::through(server, &direct, pooler.url(&direct)?).await?;
    Ok((ground, pooler))
}

/// Writes, and looks after each write at everything that the tenant can see.
async fn work(ground: Arc<Ground>, tenant: Tenant) -> Result<()> {
    let name = tenant.scope.tenant().to_string();
    for n in 0..WRITES {
        let text = format!("note {n} of {name}");
        ground.write(&tenant, vec![create(Uuid::now_v7(), &text)]).await?;
        let predicates = Predicates::default();
        let found = store::find(&ground.pool, &tenant.scope, &[], Words::All("note"), &predicates, 1_000).await?;
        ensure!(
            found.by_words.len() == n + 1,
            "{name} sees {} of {}",
            found.by_words.len(),
            n + 1
        );
        let foreign = found.by_words.iter().find(|stored| stored.memory.tenant_id != name);
        ensure!(foreign.is_none(), "{name} sees {foreign:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_18_behind_a_pooler_in_transaction_mode_tenants_stay_apart_and_move() -> Result<()> {
    let (ground, _pooler) = start().await?;
    let ground = Arc::new(ground);
    let mut tenants = Vec::new();
    for name in ["acme", "globex", "initech", "hooli", "umbrella", "tyrell"] {
        tenants.push(ground.tenant(name).await?);
    }
    let moving = tenants.first().cloned().expect("there are six");
    let away = ground.dedicated(&moving).await?;
    let mover = {
        let (ground, moving) = (Arc::clone(&ground), moving.clone());
        tokio::spawn(async move { ground.relocate(&moving, &away).await })
    };
    try_join_all(tenants.iter().map(|tenant| work(Arc::clone(&ground), tenant.clone()))).await?;
    mover.await??;
    let (shard, _) = ground.place(&moving).await?;
    ensure!(shard.shard_id.as_str() == "dedicated-acme", "{shard:?}");
    for tenant in &tenants {
        ground.assert_exact(tenant).await?;
    }
    let servers: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity where datname = current_database() and usename = 'aeterna'
         and application_name <> 'tests-direct'",
    )
    .fetch_one(&ground.root)
    .await?;
    ensure!(
        (1..=i64::from(CONNECTIONS)).contains(&servers),
        "{servers} server connections of the pooler"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_18_a_server_connection_keeps_nothing_of_its_last_tenant() -> Result<()> {
    let (ground, _pooler) = start().await?;
    let tenant = ground.tenant("acme").await?;
    ground.fill(&tenant, 20).await?;
    for _ in 0..2 * CONNECTIONS {
        let mut tx = aeterna_kit::db::begin(&ground.pool).await?;
        let (role, scope): (String, Option<String>) =
            sqlx::query_as("select current_user::text, nullif(current_setting('app.tenant_id', true), '')")
                .fetch_one(&mut *tx)
                .await?;
        ensure!(role == "aeterna" && scope.is_none(), "{role} {scope:?}");
        sqlx::query("set local role aeterna_app").execute(&mut *tx).await?;
        let seen: i64 = sqlx::query_scalar("select count(*) from memory.memories")
            .fetch_one(&mut *tx)
            .await?;
        ensure!(seen == 0, "without a scope {seen} rows are seen");
    }
    Ok(())
}

#[tokio::test]
async fn migrations_refuse_a_pooler_and_say_what_they_need() -> Result<()> {
    let server = Postgres::shared().await?;
    let pooler = PgBouncer::start(server, CONNECTIONS).await?;
    let url = pooler.url(&server.fresh_database().await?)?;
    let pool = aeterna_kit::db::connect_lazy(&url, "tests", aeterna_kit::db::Limits::default())?;
    let refused = aeterna_kit::migrate::kit_migrations().run(&pool).await;
    let words = refused.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(words.contains("leads to the database itself"), "{words}");
    Ok(())
}
