//! The life of a job as its caller sees it: start, look, cancel.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use sync_service::job::Status;
use sync_service::worker::{Context, Ended, Point, Probe, drive};
use uuid::Uuid;

use super::service::{Sync, directory, expect_job};
use crate::api::service::{Answer, send};

/// A start of a directory into the peer.
pub fn to_knowledge(path: &str) -> Value {
    json!({"source": {"type": "directory", "config": {"path": path}}, "target": {"type": "knowledge", "layer": "team"}})
}

async fn start_with_key(sync: &Sync, tenant: &str, key: &str, body: &Value) -> Result<Answer> {
    let request = sync.request(Method::POST, "/api/v1/sync/start");
    send(
        request
            .header("X-Tenant-ID", tenant)
            .header("Idempotency-Key", key)
            .json(body),
    )
    .await
}

#[tokio::test]
async fn a_start_answers_with_a_job_and_where_to_look() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let started = sync.start_job("acme", &directory("")).await?;
    started.expect(202)?;
    let id = started.id()?;
    ensure!(started.headers["location"] == format!("/api/v1/sync/status/{id}").as_str());
    expect_job(&started, "queued", &json!({"processed": 0}))?;
    ensure!(
        started.body["attempt"] == 0 && started.body["createdBy"] == "anonymous",
        "{}",
        started.text
    );
    let seen = sync.get("acme", &format!("/api/v1/sync/status/{id}")).await?;
    ensure!(seen.body == started.body, "{}", seen.text);
    Ok(())
}

#[tokio::test]
async fn a_connection_has_one_active_job() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let first = sync.start_job("acme", &directory("a")).await?;
    let busy = sync.start_job("acme", &directory("a")).await?;
    busy.expect_problem(409, "SYNC_IN_PROGRESS")?;
    ensure!(busy.body["errors"][0]["message"] == first.body["id"], "{}", busy.text);
    sync.start_job("acme", &directory("b")).await?.expect(202)?;
    sync.start_job("globex", &directory("a")).await?.expect(202)?;
    // Many at once: one wins.
    let body = directory("c");
    let answers = futures::future::try_join_all((0..8).map(|_| sync.start_job("acme", &body))).await?;
    let started = answers.iter().filter(|answer| answer.status == 202).count();
    ensure!(
        started == 1
            && answers
                .iter()
                .all(|answer| answer.status == 202 || answer.status == 409)
    );
    Ok(())
}

#[tokio::test]
async fn a_repeated_start_with_the_same_key_starts_nothing() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let (body, other) = (directory("a"), directory("b"));
    let first = start_with_key(&sync, "acme", "k", &body).await?;
    first.expect(202)?;
    let again = start_with_key(&sync, "acme", "k", &body).await?;
    again.expect(200)?;
    ensure!(again.id()? == first.id()?);
    start_with_key(&sync, "acme", "k", &other)
        .await?
        .expect_problem(409, "IDEMPOTENCY_CONFLICT")?;
    start_with_key(&sync, "globex", "k", &other).await?.expect(202)?;
    let long = "k".repeat(257);
    start_with_key(&sync, "acme", &long, &other)
        .await?
        .expect_problem(400, "INVALID_HEADER")?;
    let answers = futures::future::try_join_all((0..8).map(|_| start_with_key(&sync, "acme", "j", &other))).await?;
    let id = answers.first().context("eight")?.id()?;
    ensure!(answers.iter().all(|answer| answer.id().is_ok_and(|other| other == id)));
    Ok(())
}

#[tokio::test]
async fn a_field_that_does_not_fit_is_named_and_starts_nothing() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let with = |pointer: &str, value: Value| {
        let mut body = directory("a");
        match body.pointer_mut(pointer) {
            Some(field) => *field = value,
            None => body[pointer.trim_start_matches('/')] = value,
        }
        body
    };
    let refused = [
        (
            with("/source/config/path", json!("../b")),
            "INVALID_BODY",
            "/source/config/path",
        ),
        (with("/source/type", json!("fax")), "INVALID_BODY", ""),
        (with("/target/layer", json!("galaxy")), "INVALID_LAYER", "/target/layer"),
        (with("/mode", json!("sideways")), "INVALID_BODY", "/mode"),
        (
            with("/limits", json!({"maxItems": 0})),
            "INVALID_BODY",
            "/limits/maxItems",
        ),
        (
            with("/limits", json!({"maxBytes": 0})),
            "INVALID_BODY",
            "/limits/maxBytes",
        ),
        (
            with("/limits", json!({"maxSeconds": 604_801})),
            "INVALID_BODY",
            "/limits/maxSeconds",
        ),
        (with("/colour", json!("red")), "INVALID_BODY", ""),
        (json!({}), "INVALID_BODY", "/source"),
        (with("/connectionId", json!(Uuid::nil())), "INVALID_BODY", "/source"),
    ];
    for (body, code, pointer) in refused {
        let answer = sync.start_job("acme", &body).await?;
        answer.expect_problem(422, code)?;
        let named = answer.body["errors"][0]["pointer"].as_str().unwrap_or_default();
        ensure!(pointer.is_empty() || named == pointer, "{pointer}: {}", answer.text);
    }
    let unknown = json!({"connectionId": Uuid::nil()});
    sync.start_job("acme", &unknown)
        .await?
        .expect_problem(404, "CONNECTION_NOT_FOUND")?;
    let jobs: i64 = sqlx::query_scalar("select count(*) from sync.jobs")
        .fetch_one(&sync.memory.ground.root)
        .await?;
    ensure!(jobs == 0);
    Ok(())
}

#[tokio::test]
async fn a_viewer_starts_nothing_and_a_developer_lets_nothing_vanish() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let as_role = |role: &'static str, path: &str, body: Value| {
        let request = sync.request(Method::POST, path).header("X-Tenant-ID", "acme");
        send(request.header("X-Roles", role).json(&body))
    };
    let start = "/api/v1/sync/start";
    as_role("Viewer", start, directory("a"))
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    let mut mass = directory("a");
    mass["allowMassDelete"] = json!(true);
    as_role("Developer", start, mass.clone())
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    as_role("TechLead", start, mass).await?.expect(202)?;
    as_role("Agent", start, directory("b"))
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    let id = as_role("Developer", start, directory("b")).await?.id()?;
    let cancel = format!("/api/v1/sync/cancel/{id}");
    for role in ["Viewer", "Developer", "Agent"] {
        as_role(role, &cancel, json!({}))
            .await?
            .expect_problem(403, "FORBIDDEN")?;
    }
    as_role("TechLead", &cancel, json!({})).await?.expect(200)?;
    let retry = format!("/api/v1/sync/retry/{id}");
    as_role("Viewer", &retry, json!({}))
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    sync.get("acme", &format!("/api/v1/sync/status/{id}"))
        .await?
        .expect(200)
}

#[tokio::test]
async fn jobs_are_listed_newest_first_page_by_page() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(
            sync.start_job("acme", &directory(&format!("d{n}")))
                .await?
                .id()?
                .to_string(),
        );
    }
    ids.reverse();
    let (mut seen, mut path) = (Vec::new(), "/api/v1/sync/jobs?limit=2".to_owned());
    loop {
        let page = sync.get("acme", &path).await?;
        page.expect(200)?;
        let items = page.body["items"].as_array().cloned().unwrap_or_default();
        seen.extend(items.iter().filter_map(|job| Some(job["id"].as_str()?.to_owned())));
        let Some(cursor) = page.body["nextCursor"].as_str() else {
            break;
        };
        path = format!("/api/v1/sync/jobs?limit=2&cursor={cursor}");
    }
    ensure!(seen == ids, "{seen:?}");
    let other = path.replace("limit=2", "limit=2&status=failed");
    for path in [&other, "/api/v1/sync/jobs?cursor=x"] {
        sync.get("acme", path).await?.expect_problem(400, "INVALID_CURSOR")?;
    }
    for path in ["/api/v1/sync/jobs?limit=0", "/api/v1/sync/jobs?status=odd"] {
        sync.get("acme", path).await?.expect_problem(400, "INVALID_PARAMETER")?;
    }
    let none = sync.get("acme", "/api/v1/sync/jobs?status=failed").await?;
    ensure!(none.body == json!({"items": []}), "{}", none.text);
    Ok(())
}

#[tokio::test]
async fn a_waiting_job_is_cancelled_at_once_and_asking_again_changes_nothing() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let id = sync.start_job("acme", &directory("")).await?.id()?;
    let path = format!("/api/v1/sync/cancel/{id}");
    let cancelled = sync.post("acme", &path, &json!({"reason": "a mistake"})).await?;
    cancelled.expect(200)?;
    ensure!(cancelled.body["status"] == "cancelled" && cancelled.body["cancelReason"] == "a mistake");
    let again = send(sync.request(Method::POST, &path).header("X-Tenant-ID", "acme")).await?;
    again.expect(200)?;
    ensure!(again.body == cancelled.body, "{}", again.text);
    let long = json!({"reason": "x".repeat(501)});
    sync.post("acme", &path, &long)
        .await?
        .expect_problem(422, "INVALID_BODY")?;
    let unknown = format!("/api/v1/sync/cancel/{}", Uuid::nil());
    sync.post("acme", &unknown, &json!({}))
        .await?
        .expect_problem(404, "JOB_NOT_FOUND")?;
    sync.get("acme", &format!("/api/v1/sync/status/{}", Uuid::nil()))
        .await?
        .expect_problem(404, "JOB_NOT_FOUND")?;
    sync.get("acme", "/api/v1/sync/status/7")
        .await?
        .expect_problem(400, "INVALID_PARAMETER")?;
    sync.get("acme", &format!("/api/v1/sync/status/{id}?wait=soon"))
        .await?
        .expect_problem(400, "INVALID_PARAMETER")?;
    // The connection is free again.
    sync.start_job("acme", &directory("")).await?.expect(202)
}

#[tokio::test]
async fn a_running_job_is_cancelled_within_two_seconds_though_its_target_hangs() -> Result<()> {
    let sync = Sync::start().await?;
    for n in 0..50 {
        sync.write("acme", &format!("{n:02}.md"), format!("page {n}"))?;
    }
    sync.knowledge.close();
    let id = sync.start_job("acme", &to_knowledge("")).await?.id()?;
    sync.knowledge.is_asked().await?;
    let answer = sync
        .post("acme", &format!("/api/v1/sync/cancel/{id}"), &json!({}))
        .await?;
    answer.expect(202)?;
    ensure!(answer.body["status"] == "cancelling", "{}", answer.text);
    let over = sync.end_of("acme", id).await?;
    expect_job(&over, "cancelled", &json!({"added": 0}))?;
    let at = |name: &str| -> Result<jiff::Timestamp> { Ok(over.body[name].as_str().context("a time")?.parse()?) };
    let took = at("finishedAt")?.duration_since(at("cancelRequestedAt")?);
    ensure!(took.as_millis() <= 2_000, "it took {took:?}");
    // What was on its way when nobody waited any more is found by the next run.
    sync.knowledge.open();
    let again = sync.run_job("acme", &to_knowledge("")).await?;
    expect_job(&again, "succeeded", &json!({"added": 50}))?;
    ensure!(sync.knowledge.paths("acme").len() == 50);
    Ok(())
}

#[tokio::test]
async fn a_run_takes_no_longer_than_it_may() -> Result<()> {
    let sync = Sync::by_hand().await?;
    sync.write("acme", "a.md", "text")?;
    let mut body = directory("");
    body["limits"] = json!({"maxSeconds": 1_000});
    let id = sync.start_job("acme", &body).await?.id()?;
    ensure!(super::kills::crash_at(&sync.context(), sync.claim().await?, Point::PageRead, 0).await?);
    for (age, status) in [("900 seconds", "succeeded"), ("1001 seconds", "failed")] {
        sqlx::query("update sync.jobs set started_at = now() - $1::interval, status = 'running', lease_until = now(), cursor = null")
            .bind(age)
            .execute(&sync.memory.ground.root)
            .await?;
        drive(&sync.context(), sync.claim().await?).await;
        let job = sync.get("acme", &format!("/api/v1/sync/status/{id}")).await?;
        expect_job(&job, status, &json!({}))?;
        let code = if status == "failed" {
            json!("TOO_LONG")
        } else {
            Value::Null
        };
        ensure!(job.body["error"]["code"] == code, "{}", job.text);
    }
    // Also while the source hangs.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let mut hanging = super::feed::feed(&format!("http://{}/", listener.local_addr()?));
    hanging["limits"] = json!({"maxSeconds": 1});
    let job = super::feed_faults::try_once(&sync, &hanging).await?;
    super::feed_faults::expect_error(&job, "data", "TOO_LONG")
}

#[tokio::test]
async fn a_worker_that_leaves_gives_its_job_back_at_the_end_of_a_batch_and_that_is_no_failure() -> Result<()> {
    let sync = Sync::by_hand().await?;
    for n in 0..70 {
        sync.write("acme", &format!("{n:02}.md"), format!("page {n}"))?;
    }
    let id = sync.start_job("acme", &to_knowledge("")).await?.id()?;
    let leaving = std::sync::Arc::clone(&sync.state.leaving);
    let probe = Probe::new(move |point| {
        if point == Point::BatchDelivered {
            leaving.send_replace(true);
        }
        Box::pin(std::future::ready(()))
    });
    let context = Context {
        probe,
        ..sync.context()
    };
    let ended = drive(&context, sync.claim().await?).await;
    ensure!(ended == Ended::Left(Status::Queued), "{ended:?}");
    ensure!(
        sync.knowledge.paths("acme").len() == 32,
        "the batch is whole, and the last one"
    );
    let left: (Value, i32, bool) =
        sqlx::query_as("select failures, lost, run_after <= now() from sync.jobs where id = $1")
            .bind(id)
            .fetch_one(&sync.memory.ground.root)
            .await?;
    ensure!(left == (json!({}), 0, true), "{left:?}");
    sync.state.leaving.send_replace(false);
    drive(&sync.context(), sync.claim().await?).await;
    expect_job(&sync.end_of("acme", id).await?, "succeeded", &json!({"added": 70}))
}
