//! Webhooks in GitHub's shape: signed, taken once, and never lost behind an active job.

use aeterna_kit::hex::hex;
use anyhow::{Context as _, Result, ensure};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use sync_service::worker::drive;
use sync_service::worker::triggers::fire_due;

use super::locks::{hold_connections, somebody_waits};
use super::service::{Sync, directory, expect_job};
use crate::api::service::{Answer, send};

const SECRET: &str = "It's a Secret to Everybody";

fn sign(secret: &str, body: &str) -> Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(body.as_bytes());
    Ok(format!("sha256={}", hex(&mac.finalize().into_bytes())))
}

/// A delivery as GitHub sends it: it names no tenant but in its path.
async fn deliver(sync: &Sync, path: &str, delivery: &str, event: &str, body: &str) -> Result<Answer> {
    let request = sync
        .request(Method::POST, path)
        .header("X-Hub-Signature-256", sign(SECRET, body)?);
    let request = request
        .header("X-GitHub-Delivery", delivery)
        .header("X-GitHub-Event", event);
    send(request.header("content-type", "application/json").body(body.to_owned())).await
}

async fn put(sync: &Sync, tenant: &str, connection: &str, body: &Value) -> Result<Answer> {
    let path = format!("/api/v1/sync/webhooks/{connection}");
    send(
        sync.request(Method::PUT, &path)
            .header("X-Tenant-ID", tenant)
            .json(body),
    )
    .await
}

/// Makes a connection over a source, with a webhook; returns the connection and where deliveries go.
async fn hook(sync: &Sync, start: &Value) -> Result<(String, String)> {
    sync.write_secret("acme", "hook.hmac", SECRET)?;
    let started = sync.start_job("acme", start).await?;
    started.expect(202)?;
    sync.post("acme", &format!("/api/v1/sync/cancel/{}", started.id()?), &json!({}))
        .await?
        .expect(200)?;
    let connection = started.body["connectionId"]
        .as_str()
        .context("a connection")?
        .to_owned();
    let set = put(sync, "acme", &connection, &json!({"secretRef": "hook"})).await?;
    set.expect(200)?;
    ensure!(!set.text.contains(SECRET), "{}", set.text);
    let path = set.body["path"].as_str().context("a path")?.to_owned();
    ensure!(path == format!("/api/v1/sync/webhooks/acme/{connection}"), "{path}");
    Ok((connection, path))
}

const PUSH: &str = r#"{"ref": "refs/heads/main"}"#;

#[tokio::test]
async fn a_push_starts_a_job_once() -> Result<()> {
    let sync = Sync::by_hand().await?;
    sync.write("acme", "a.md", "text")?;
    let (connection, path) = hook(&sync, &directory("")).await?;
    let first = deliver(&sync, &path, "d-1", "push", PUSH).await?;
    first.expect(202)?;
    ensure!(first.body["outcome"] == "started", "{}", first.text);
    let job = first.body["jobId"].as_str().context("a job")?.to_owned();
    ensure!(first.headers["location"] == format!("/api/v1/sync/status/{job}").as_str());
    // The same delivery again, also many times at once, starts nothing; nor does what is no push.
    let again = futures::future::try_join_all((0..8).map(|_| deliver(&sync, &path, "d-1", "push", PUSH))).await?;
    ensure!(
        again
            .iter()
            .all(|again| again.status == 200 && again.body["outcome"] == "duplicate")
    );
    let ping = deliver(&sync, &path, "d-2", "ping", "{}").await?;
    ensure!(ping.status == 200 && ping.body["outcome"] == "ignored", "{}", ping.text);
    let seen = sync.get("acme", &format!("/api/v1/sync/webhooks/{connection}")).await?;
    ensure!(
        seen.body["lastJobId"] == job.as_str() && seen.body["pending"] == false,
        "{}",
        seen.text
    );
    drive(&sync.context(), sync.claim().await?).await;
    let over = sync.end_of("acme", job.parse()?).await?;
    expect_job(&over, "succeeded", &json!({"added": 1}))?;
    deliver(&sync, &path, "d-1", "push", PUSH).await?.expect(200)
}

#[tokio::test]
async fn a_push_while_a_job_is_active_is_followed_by_another_job() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let (connection, path) = hook(&sync, &directory("")).await?;
    sync.write("acme", "a.md", "text")?;
    deliver(&sync, &path, "d-1", "push", PUSH).await?.expect(202)?;
    for n in 2..5 {
        let pending = deliver(&sync, &path, &format!("d-{n}"), "push", PUSH).await?;
        ensure!(
            pending.status == 202 && pending.body["outcome"] == "pending",
            "{}",
            pending.text
        );
    }
    ensure!(fire_due(&sync.state.pool).await? == 0, "it waits for the job");
    drive(&sync.context(), sync.claim().await?).await;
    let looks = futures::future::try_join_all((0..8).map(|_| fire_due(&sync.state.pool))).await?;
    ensure!(looks.iter().sum::<usize>() == 1, "three pushes are one job: {looks:?}");
    let seen = sync.get("acme", &format!("/api/v1/sync/webhooks/{connection}")).await?;
    ensure!(seen.body["pending"] == false, "{}", seen.text);
    drive(&sync.context(), sync.claim().await?).await;
    ensure!(fire_due(&sync.state.pool).await? == 0);
    Ok(())
}

#[tokio::test]
async fn a_job_of_a_delivery_has_the_limits_that_the_webhook_was_given() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let (connection, path) = hook(&sync, &directory("")).await?;
    put(
        &sync,
        "acme",
        &connection,
        &json!({"secretRef": "hook", "limits": {"maxItems": 0}}),
    )
    .await?
    .expect_problem(422, "INVALID_BODY")?;
    let limited = json!({"secretRef": "hook", "limits": {"maxItems": 1}});
    let set = put(&sync, "acme", &connection, &limited).await?;
    ensure!(set.body["limits"]["maxItems"] == 1, "{}", set.text);
    sync.write("acme", "a.md", "A")?;
    sync.write("acme", "b.md", "B")?;
    let first = deliver(&sync, &path, "d-1", "push", PUSH).await?;
    // And so has the one that follows it.
    deliver(&sync, &path, "d-2", "push", PUSH).await?.expect(202)?;
    drive(&sync.context(), sync.claim().await?).await;
    ensure!(fire_due(&sync.state.pool).await? == 1);
    drive(&sync.context(), sync.claim().await?).await;
    let seen = sync.get("acme", &format!("/api/v1/sync/webhooks/{connection}")).await?;
    ensure!(seen.body["lastJobId"] != first.body["jobId"], "{}", seen.text);
    for job in [&first.body["jobId"], &seen.body["lastJobId"]] {
        let job = sync.end_of("acme", job.as_str().context("a job")?.parse()?).await?;
        ensure!(job.body["error"]["code"] == "TOO_MANY_ITEMS", "{}", job.text);
    }
    Ok(())
}

#[tokio::test]
async fn a_delivery_and_whoever_forgets_its_connection_do_not_wait_for_each_other() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let (_, path) = hook(&sync, &directory("")).await?;
    let mut forgetting = hold_connections(&sync).await?;
    let (answer, forgotten) = futures::join!(deliver(&sync, &path, "d-1", "push", PUSH), async {
        somebody_waits(&sync).await?;
        for table in ["webhooks", "jobs", "connections"] {
            let delete = format!("delete from sync.{table}");
            sqlx::query(sqlx::AssertSqlSafe(delete))
                .execute(&mut *forgetting)
                .await?;
        }
        anyhow::Ok(forgetting.commit().await?)
    });
    forgotten?;
    answer?.expect_problem(401, "UNAUTHENTICATED")
}

#[tokio::test]
async fn what_is_not_signed_is_told_nothing() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let (connection, path) = hook(&sync, &directory("")).await?;
    let signed = sign(SECRET, PUSH)?;
    let with = |path: String, signature: Option<String>| {
        let mut request = sync.request(Method::POST, &path).header("X-GitHub-Delivery", "d");
        if let Some(signature) = signature {
            request = request.header("X-Hub-Signature-256", signature);
        }
        send(request.header("X-GitHub-Event", "push").body(PUSH))
    };
    let strangers = [
        with(path.clone(), None).await?,
        with(path.clone(), Some(sign("another secret", PUSH)?)).await?,
        with(path.clone(), Some(sign(SECRET, "another body")?)).await?,
        with(path.clone(), Some(signed.replace("sha256=", "sha1="))).await?,
        with(path.replace("acme", "globex"), Some(signed.clone())).await?,
        with(
            path.replace(&connection, &uuid::Uuid::nil().to_string()),
            Some(signed.clone()),
        )
        .await?,
        with(path.replace(&connection, "x"), Some(signed.clone())).await?,
    ];
    for stranger in &strangers {
        stranger.expect_problem(401, "UNAUTHENTICATED")?;
        ensure!(
            stranger.body["detail"] == strangers[0].body["detail"],
            "{}",
            stranger.text
        );
    }
    // A secret that is no longer there signs nothing.
    sync.write_secret("acme", "hook.hmac", "")?;
    with(path.clone(), Some(signed.clone()))
        .await?
        .expect_problem(401, "UNAUTHENTICATED")?;
    sync.write_secret("acme", "hook.hmac", SECRET)?;
    let request = sync.request(Method::POST, &path).header("X-Hub-Signature-256", &signed);
    send(request.body(PUSH)).await?.expect_problem(400, "INVALID_HEADER")?;
    let large = "x".repeat(4 << 20);
    let request = sync
        .request(Method::POST, &path)
        .header("X-Hub-Signature-256", sign(SECRET, &large)?);
    send(request.body(large))
        .await?
        .expect_problem(413, "PAYLOAD_TOO_LARGE")?;
    let jobs = sync.get("acme", "/api/v1/sync/jobs?status=queued").await?;
    ensure!(jobs.body["items"] == json!([]), "{}", jobs.text);
    Ok(())
}

#[tokio::test]
async fn a_webhook_is_set_and_removed_by_its_tenant_alone() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let git = json!({
        "source": {"type": "git", "config": {"url": "https://example.com/x.git", "branch": "main"}},
        "target": {"type": "memory", "layer": "team"},
    });
    let (connection, path) = hook(&sync, &git).await?;
    let other = deliver(&sync, &path, "d-1", "push", r#"{"ref": "refs/heads/other"}"#).await?;
    ensure!(
        other.status == 200 && other.body["outcome"] == "ignored",
        "{}",
        other.text
    );

    let own = format!("/api/v1/sync/webhooks/{connection}");
    let hooked = json!({"secretRef": "hook"});
    sync.write_secret("globex", "hook.hmac", SECRET)?;
    put(&sync, "globex", &connection, &hooked)
        .await?
        .expect_problem(404, "CONNECTION_NOT_FOUND")?;
    sync.get("globex", &own)
        .await?
        .expect_problem(404, "WEBHOOK_NOT_FOUND")?;
    let delete = |tenant: &'static str, role: &'static str| {
        let request = sync.request(Method::DELETE, &own).header("X-Tenant-ID", tenant);
        send(request.header("X-Roles", role))
    };
    delete("globex", "TenantAdmin")
        .await?
        .expect_problem(404, "WEBHOOK_NOT_FOUND")?;
    for name in ["no-such-secret", "../globex/hook"] {
        put(&sync, "acme", &connection, &json!({"secretRef": name}))
            .await?
            .expect_problem(422, "INVALID_BODY")?;
    }
    let as_viewer = sync
        .request(Method::PUT, &own)
        .header("X-Tenant-ID", "acme")
        .header("X-Roles", "Viewer");
    send(as_viewer.json(&hooked)).await?.expect_problem(403, "FORBIDDEN")?;
    delete("acme", "Viewer").await?.expect_problem(403, "FORBIDDEN")?;
    delete("acme", "TenantAdmin").await?.expect(204)?;
    delete("acme", "TenantAdmin")
        .await?
        .expect_problem(404, "WEBHOOK_NOT_FOUND")?;
    deliver(&sync, &path, "d-2", "push", PUSH)
        .await?
        .expect_problem(401, "UNAUTHENTICATED")
}
