//! Schedules: set over HTTP, fired once a time, and made up for once.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use sync_service::store;
use sync_service::worker::triggers::fire_due;
use uuid::Uuid;

use super::locks::{hold_connections, somebody_waits};
use super::service::{Sync, directory, expect_job};
use crate::api::service::{Answer, send};

async fn put(sync: &Sync, tenant: &str, connection: &str, body: &Value) -> Result<Answer> {
    let path = format!("/api/v1/sync/schedules/{connection}");
    send(
        sync.request(Method::PUT, &path)
            .header("X-Tenant-ID", tenant)
            .json(body),
    )
    .await
}

async fn delete(sync: &Sync, tenant: &str, connection: &str) -> Result<Answer> {
    let path = format!("/api/v1/sync/schedules/{connection}");
    send(sync.request(Method::DELETE, &path).header("X-Tenant-ID", tenant)).await
}

/// Starts a job and ends it; returns its connection.
async fn connection(sync: &Sync, tenant: &str, path: &str) -> Result<String> {
    let started = sync.start_job(tenant, &directory(path)).await?;
    sync.post(tenant, &format!("/api/v1/sync/cancel/{}", started.id()?), &json!({}))
        .await?
        .expect(200)?;
    Ok(started.body["connectionId"]
        .as_str()
        .context("a connection")?
        .to_owned())
}

/// Makes every schedule due, `late` ago.
async fn make_due(sync: &Sync, late: &str) -> Result<()> {
    let update = "update sync.schedules set next_run_at = date_trunc('minute', now()) - $1::text::interval";
    sqlx::query(update).bind(late).execute(&sync.memory.ground.root).await?;
    Ok(())
}

async fn jobs(sync: &Sync, connection: &str) -> Result<Vec<Value>> {
    let list = sync
        .get(
            "acme",
            &format!("/api/v1/sync/jobs?connectionId={connection}&status=queued"),
        )
        .await?;
    Ok(list.body["items"].as_array().cloned().unwrap_or_default())
}

#[tokio::test]
async fn a_schedule_is_set_shown_listed_and_removed() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let id = connection(&sync, "acme", "a").await?;
    let path = format!("/api/v1/sync/schedules/{id}");
    sync.get("acme", &path)
        .await?
        .expect_problem(404, "SCHEDULE_NOT_FOUND")?;
    let set = put(
        &sync,
        "acme",
        &id,
        &json!({"cron": "0 3 * * *", "timezone": "Europe/Berlin", "limits": {"maxItems": 7, "maxSeconds": 60}}),
    )
    .await?;
    set.expect(200)?;
    ensure!(
        set.body["connectionId"] == id.as_str() && set.body["mode"] == "incremental",
        "{}",
        set.text
    );
    ensure!(
        set.body["limits"]["maxItems"] == 7 && set.body["limits"]["maxSeconds"] == 60,
        "{}",
        set.text
    );
    let next: jiff::Timestamp = set.body["nextRunAt"].as_str().context("a time")?.parse()?;
    let next = next.in_tz("Europe/Berlin")?;
    ensure!((next.hour(), next.minute()) == (3, 0), "{next}");
    ensure!(sync.get("acme", &path).await?.body == set.body);
    let paused = put(
        &sync,
        "acme",
        &id,
        &json!({"cron": "@hourly", "mode": "full", "paused": true}),
    )
    .await?;
    ensure!(
        paused.body["nextRunAt"].is_null() && paused.body["timezone"] == "UTC",
        "{}",
        paused.text
    );

    let others = [
        connection(&sync, "acme", "b").await?,
        connection(&sync, "acme", "c").await?,
    ];
    for other in &others {
        put(&sync, "acme", other, &json!({"cron": "@daily"}))
            .await?
            .expect(200)?;
    }
    let first = sync.get("acme", "/api/v1/sync/schedules?limit=2").await?;
    let cursor = first.body["nextCursor"].as_str().context("there is more")?;
    let second = sync
        .get("acme", &format!("/api/v1/sync/schedules?limit=2&cursor={cursor}"))
        .await?;
    let listed: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| page.body["items"].as_array().cloned().unwrap_or_default())
        .filter_map(|schedule| Some(schedule["connectionId"].as_str()?.to_owned()))
        .collect();
    ensure!(
        listed == [id.clone(), others[0].clone(), others[1].clone()],
        "{listed:?}"
    );
    sync.get("acme", "/api/v1/sync/schedules?cursor=x")
        .await?
        .expect_problem(400, "INVALID_CURSOR")?;

    delete(&sync, "acme", &id).await?.expect(204)?;
    delete(&sync, "acme", &id)
        .await?
        .expect_problem(404, "SCHEDULE_NOT_FOUND")
}

#[tokio::test]
async fn a_schedule_that_does_not_fit_is_refused() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let id = connection(&sync, "acme", "a").await?;
    let refused = [
        (json!({"cron": "every day"}), "/cron"),
        (json!({"cron": "* * * * * *"}), "/cron"),
        (json!({"cron": "0 0 31 2 *"}), "/cron"),
        (json!({"cron": "@daily", "timezone": "Mars/Olympus"}), "/timezone"),
        (json!({"cron": "@daily", "limits": {"maxItems": 0}}), "/limits/maxItems"),
        (json!({"cron": "@daily", "colour": "red"}), ""),
        (json!({}), ""),
    ];
    for (body, pointer) in refused {
        let answer = put(&sync, "acme", &id, &body).await?;
        answer.expect_problem(422, "INVALID_BODY")?;
        let named = answer.body["errors"][0]["pointer"].as_str().unwrap_or_default();
        ensure!(pointer.is_empty() || named == pointer, "{}", answer.text);
    }
    let daily = json!({"cron": "@daily"});
    put(&sync, "acme", &Uuid::nil().to_string(), &daily)
        .await?
        .expect_problem(404, "CONNECTION_NOT_FOUND")?;
    put(&sync, "acme", "x", &daily)
        .await?
        .expect_problem(400, "INVALID_PARAMETER")?;
    // Another tenant's connection is none, and its schedule is not seen, fired or removed.
    put(&sync, "globex", &id, &daily)
        .await?
        .expect_problem(404, "CONNECTION_NOT_FOUND")?;
    put(&sync, "acme", &id, &daily).await?.expect(200)?;
    let path = format!("/api/v1/sync/schedules/{id}");
    sync.get("globex", &path)
        .await?
        .expect_problem(404, "SCHEDULE_NOT_FOUND")?;
    delete(&sync, "globex", &id)
        .await?
        .expect_problem(404, "SCHEDULE_NOT_FOUND")?;
    ensure!(sync.get("globex", "/api/v1/sync/schedules").await?.body["items"] == json!([]));
    // Who may not start jobs may not have them started.
    let as_role = |method, role: &'static str, body: Value| {
        let request = sync.request(method, &path).header("X-Tenant-ID", "acme");
        send(request.header("X-Roles", role).json(&body))
    };
    as_role(Method::PUT, "Viewer", daily.clone())
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    as_role(Method::DELETE, "Viewer", json!({}))
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    let mass = json!({"cron": "@daily", "allowMassDelete": true});
    as_role(Method::PUT, "Developer", mass)
        .await?
        .expect_problem(403, "FORBIDDEN")
}

#[tokio::test]
async fn times_that_passed_are_one_run_and_many_instances_start_one_job() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let id = connection(&sync, "acme", "a").await?;
    let path = format!("/api/v1/sync/schedules/{id}");
    put(&sync, "acme", &id, &json!({"cron": "* * * * *", "mode": "full"}))
        .await?
        .expect(200)?;
    make_due(&sync, "-1 hour").await?;
    ensure!(fire_due(&sync.state.pool).await? == 0, "its time has not come");
    // Nobody was there for two hours.
    make_due(&sync, "2 hours").await?;
    let looks = futures::future::try_join_all((0..8).map(|_| fire_due(&sync.state.pool))).await?;
    ensure!(looks.iter().sum::<usize>() == 1, "{looks:?}");
    let started = jobs(&sync, &id).await?;
    ensure!(started.len() == 1 && started[0]["mode"] == "full", "{started:?}");
    let schedule = sync.get("acme", &path).await?;
    let skipped = schedule.body["skipped"].as_i64().context("a number")?;
    // A hundred and twenty, and those of a machine that takes its time.
    ensure!((119..=150).contains(&skipped), "{}", schedule.text);
    ensure!(schedule.body["lastJobId"] == started[0]["id"], "{}", schedule.text);
    let next: jiff::Timestamp = schedule.body["nextRunAt"].as_str().context("a time")?.parse()?;
    let last: jiff::Timestamp = schedule.body["lastRunAt"].as_str().context("a time")?.parse()?;
    ensure!(next > last, "a time that is over: {next}, after {last}");

    // The job is still active: the next time is skipped, and no second one waits behind it.
    make_due(&sync, "0 s").await?;
    ensure!(fire_due(&sync.state.pool).await? == 0);
    let after = sync.get("acme", &path).await?;
    ensure!(after.body["skipped"].as_i64() > Some(skipped), "{}", after.text);
    ensure!(after.body["lastJobId"] == started[0]["id"] && jobs(&sync, &id).await?.len() == 1);

    // A paused one has no time.
    put(&sync, "acme", &id, &json!({"cron": "* * * * *", "paused": true}))
        .await?
        .expect(200)?;
    let paused: i64 = sqlx::query_scalar("select count(*) from sync.schedules where next_run_at is null")
        .fetch_one(&sync.memory.ground.root)
        .await?;
    ensure!(paused == 1);
    Ok(())
}

#[tokio::test]
async fn a_schedule_that_fires_and_whoever_forgets_its_connection_do_not_wait_for_each_other() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let id = connection(&sync, "acme", "a").await?;
    put(&sync, "acme", &id, &json!({"cron": "@daily"})).await?.expect(200)?;
    make_due(&sync, "1 minute").await?;
    let due = store::fetch_due(&sync.state.pool, 1)
        .await?
        .pop()
        .context("it is due")?;
    let mut forgetting = hold_connections(&sync).await?;
    let (fired, forgotten) = futures::join!(store::fire(&sync.state.pool, &due, None), async {
        somebody_waits(&sync).await?;
        for table in ["schedules", "jobs", "connections"] {
            let delete = format!("delete from sync.{table}");
            sqlx::query(sqlx::AssertSqlSafe(delete))
                .execute(&mut *forgetting)
                .await?;
        }
        anyhow::Ok(forgetting.commit().await?)
    });
    forgotten?;
    ensure!(fired?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_scheduled_job_runs_by_itself_with_the_roles_of_whoever_set_it() -> Result<()> {
    let sync = Sync::start().await?;
    sync.write("acme", "a.md", "first")?;
    let first = sync.run_job("acme", &super::jobs::to_knowledge("")).await?;
    let id = first.body["connectionId"].as_str().context("a connection")?.to_owned();
    let request = sync
        .request(Method::PUT, &format!("/api/v1/sync/schedules/{id}"))
        .header("X-Tenant-ID", "acme");
    let set = request.header("X-Roles", "Developer").header("X-Subject", "ann");
    // Far away, until it is made due.
    send(set.json(&json!({"cron": "0 0 29 2 *"}))).await?.expect(200)?;
    sync.write("acme", "a.md", "second")?;
    sync.write("acme", "b.md", "new")?;
    make_due(&sync, "1 minute").await?;
    let path = format!("/api/v1/sync/schedules/{id}");
    let started = async {
        loop {
            let schedule = sync.get("acme", &path).await?;
            if let Some(job) = schedule.body["lastJobId"].as_str() {
                return anyhow::Ok(job.parse::<Uuid>()?);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let job = tokio::time::timeout(Duration::from_secs(30), started).await??;
    let over = sync.end_of("acme", job).await?;
    expect_job(&over, "succeeded", &json!({"updated": 1, "added": 1}))?;
    ensure!(over.body["createdBy"] == "ann", "{}", over.text);
    let item = sync.knowledge.item("acme", "a.md").context("it is there")?;
    ensure!(item.body["content"] == "second", "{item:?}");
    let item = sync.knowledge.item("acme", "b.md").context("it is there")?;
    ensure!(item.roles == "Developer", "{item:?}");
    Ok(())
}
