//! Feeds that are away, refuse, want a pause, lie, or lead somewhere else.

use std::io::Write as _;

use anyhow::{Context as _, Result, ensure};
use axum::body::Body;
use axum::response::Response;
use serde_json::{Value, json};
use sync_service::worker::drive;

use super::feed::feed;
use super::service::{Sync, expect_job};
use super::web::{Asked, Web, lines, response};
use crate::api::service::Answer;
use crate::ground::Ground;
use crate::knowledge::service::{ADMIN, Service as Knowledge};

/// Drives a start of a feed once, and returns the job then.
pub async fn try_once(sync: &Sync, body: &Value) -> Result<Answer> {
    let id = sync.start_job("acme", body).await?.id()?;
    drive(&sync.context(), sync.claim().await?).await;
    let job = sync.get("acme", &format!("/api/v1/sync/status/{id}")).await?;
    sync.post("acme", &format!("/api/v1/sync/cancel/{id}"), &json!({}))
        .await?;
    Ok(job)
}

pub fn expect_error(job: &Answer, class: &str, code: &str) -> Result<()> {
    let error = &job.body["error"];
    ensure!(
        error["class"] == class && error["code"] == code,
        "not {class} {code}: {}",
        job.text
    );
    let is_left = job.body["status"] == "queued";
    ensure!(is_left == matches!(class, "transient" | "rate_limited"), "{}", job.text);
    Ok(())
}

type Case = (&'static str, &'static str, fn(&Asked) -> Response);

/// A body that ends before it said that it would.
fn broken(_: &Asked) -> Response {
    let chunks = [Ok("{\"id\": \"a\""), Err(std::io::Error::other("gone"))];
    response(200, &[], Body::from_stream(futures::stream::iter(chunks)))
}

/// Forty kilobytes that unpack to forty megabytes.
fn bomb(_: &Asked) -> Response {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![b' '; 1 << 20];
    let packed = (0..40)
        .try_for_each(|_| packer.write_all(&zeros))
        .and_then(|()| packer.finish());
    response(200, &[("content-encoding", "gzip")], packed.unwrap_or_default())
}

#[tokio::test]
async fn each_fault_of_a_feed_has_its_class_and_its_code() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let cases: [Case; 12] = [
        ("auth", "SOURCE_REFUSED", |_| response(401, &[], "")),
        ("config", "SOURCE_NOT_FOUND", |_| response(404, &[], "")),
        ("config", "SOURCE_STRANGE", |_| response(418, &[], "")),
        ("transient", "SOURCE_AWAY", |_| response(503, &[], "")),
        ("transient", "SOURCE_AWAY", broken),
        ("data", "ANSWER_TOO_LARGE", bomb),
        ("data", "ANSWER_UNREADABLE", |_| {
            response(200, &[("content-encoding", "gzip")], "not gzip")
        }),
        ("data", "ANSWER_UNREADABLE", |_| {
            response(200, &[("content-encoding", "br")], "")
        }),
        ("data", "FEED_UNREADABLE", |_| {
            response(200, &[("content-type", "application/json")], "nonsense")
        }),
        ("data", "FEED_UNREADABLE", |_| response(304, &[], "")),
        ("config", "SOURCE_REDIRECTS", |_| {
            response(302, &[("location", "/again")], "")
        }),
        ("config", "SOURCE_REDIRECTS", |_| response(302, &[], "")),
    ];
    for (class, code, answering) in cases {
        let web = Web::start(answering).await?;
        expect_error(&try_once(&sync, &feed(&web.url("/"))).await?, class, code)?;
    }
    // Nobody listens any more.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let gone = format!("http://{}/", listener.local_addr()?);
    drop(listener);
    expect_error(&try_once(&sync, &feed(&gone)).await?, "transient", "SOURCE_AWAY")
}

#[tokio::test]
async fn a_feed_that_asks_for_a_pause_gets_it() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let web = Web::start(|_| response(429, &[("retry-after", "37")], "")).await?;
    let job = try_once(&sync, &feed(&web.url("/"))).await?;
    expect_error(&job, "rate_limited", "SOURCE_RATE_LIMITED")?;
    let at: jiff::Timestamp = job.body["error"]["retryAt"].as_str().context("it says when")?.parse()?;
    let heard: jiff::Timestamp = job.body["heartbeatAt"].as_str().context("a heartbeat")?.parse()?;
    let pause = at.duration_since(heard).as_secs();
    ensure!((36..60).contains(&pause), "{pause} s: {}", job.text);
    let waits: bool = sqlx::query_scalar("select run_after > now() + interval '30 s' from sync.jobs")
        .fetch_one(&sync.memory.ground.root)
        .await?;
    ensure!(waits, "no worker claims it before");
    Ok(())
}

#[tokio::test]
async fn nothing_inside_is_asked_by_any_spelling_or_redirect() -> Result<()> {
    let sync = Sync::by_hand().await?;
    // The tests' own address is exempt; all others of this machine and its networks are not.
    let inside = Web::start(|_| response(200, &[], lines(&[("a", "a secret of the inside")]))).await?;
    let port = inside.url("").rsplit(':').next().context("a port")?.to_owned();
    let forbidden = [
        format!("http://127.0.0.2:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://0.0.0.0:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://10.0.0.1/".to_owned(),
        "http://[fd00:ec2::254]/".to_owned(),
    ];
    for url in &forbidden {
        expect_error(&try_once(&sync, &feed(url)).await?, "config", "SOURCE_FORBIDDEN")?;
        let led = {
            let url = url.clone();
            Web::start(move |_| response(307, &[("location", &url)], "")).await?
        };
        expect_error(
            &try_once(&sync, &feed(&led.url("/"))).await?,
            "config",
            "SOURCE_FORBIDDEN",
        )?;
        let next = {
            let url = url.clone();
            Web::start(move |_| response(200, &[("link", &format!("<{url}>; rel=next"))], "")).await?
        };
        expect_error(
            &try_once(&sync, &feed(&next.url("/"))).await?,
            "config",
            "SOURCE_FORBIDDEN",
        )?;
    }
    ensure!(inside.take_asked().is_empty(), "it was asked");
    ensure!(sync.memories("acme").await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_secret_goes_to_its_origin_alone_and_is_never_shown() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let other = Web::start(|_| response(200, &[], lines(&[("b", "B")]))).await?;
    let elsewhere = other.url("/moved");
    let web = Web::start(move |asked| match asked.path.as_str() {
        "/feed" => response(302, &[("location", "/here")], ""),
        "/here" => response(200, &[("link", "</there>; rel=next")], lines(&[("a", "A")])),
        _ => response(302, &[("location", &elsewhere)], ""),
    })
    .await?;
    sync.write_sendable("acme", "feed-token", "s3cret\n", &[&web.url("/")])?;
    let mut body = feed(&web.url("/feed"));
    body["source"]["config"]["secretRef"] = json!("feed-token");
    let job = try_once(&sync, &body).await?;
    expect_job(&job, "succeeded", &json!({"added": 2}))?;
    ensure!(!job.text.contains("s3cret"), "{}", job.text);
    let asked = web.take_asked();
    ensure!(
        asked.len() == 3
            && asked
                .iter()
                .all(|asked| asked.header("authorization") == "Bearer s3cret")
    );
    let asked = other.take_asked();
    ensure!(
        asked.len() == 1 && asked[0].header("authorization").is_empty(),
        "{asked:?}"
    );
    let kept: String = sqlx::query_scalar("select source::text || coalesce(state::text, '') from sync.connections")
        .fetch_one(&sync.memory.ground.root)
        .await?;
    ensure!(!kept.contains("s3cret"), "{kept}");

    body["source"]["config"]["secretRef"] = json!("no-such-token");
    expect_error(&try_once(&sync, &body).await?, "config", "SECRET_NOT_FOUND")?;
    for (field, value) in [
        ("secretRef", "../globex/feed-token"),
        ("secretRef", "feed-token.origins"),
        ("secretRef", "hook.hmac"),
        ("url", "file:///etc/passwd"),
        ("url", "https://ann:pw@example.com/"),
    ] {
        let mut bad = body.clone();
        bad["source"]["config"][field] = json!(value);
        let answer = sync.start_job("acme", &bad).await?;
        answer.expect_problem(422, "INVALID_BODY")?;
        let pointer = format!("/source/config/{field}");
        ensure!(
            answer.body["errors"][0]["pointer"] == pointer.as_str(),
            "{}",
            answer.text
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_is_sent_nowhere_but_to_its_origins_whoever_names_it() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let web = Web::start(|_| response(200, &[], lines(&[("a", "A")]))).await?;
    let thief = Web::start(|_| response(200, &[], lines(&[("a", "A")]))).await?;
    sync.write_sendable("acme", "token", "s3cret", &[&web.url("/")])?;
    sync.write_secret("acme", "unlisted", "s3cret")?;
    sync.write_secret("acme", "hook.hmac", "s3cret")?;
    let with = |url: String, name: &str| {
        let mut body = feed(&url);
        body["source"]["config"]["secretRef"] = json!(name);
        body
    };
    for (name, code) in [
        ("token", "SECRET_FORBIDDEN"),
        ("unlisted", "SECRET_FORBIDDEN"),
        ("hook", "SECRET_NOT_FOUND"),
    ] {
        expect_error(&try_once(&sync, &with(thief.url("/feed"), name)).await?, "config", code)?;
        let git = json!({
            "source": {"type": "git", "config": {"url": thief.url("/docs.git"), "secretRef": name}},
            "target": {"type": "memory", "layer": "team"},
        });
        expect_error(&try_once(&sync, &git).await?, "config", code)?;
    }
    ensure!(thief.take_asked().is_empty(), "nobody is asked");
    let job = try_once(&sync, &with(web.url("/feed"), "token")).await?;
    expect_job(&job, "succeeded", &json!({"added": 1}))
}

#[tokio::test]
async fn ids_that_are_no_paths_are_rejected_one_by_one_and_touch_no_other_item() -> Result<()> {
    let knowledge = Knowledge::start().await?;
    let sync = Sync::on_knowledge(
        Ground::new().await?,
        &knowledge.url,
        &["--auth-mode", "disabled", "--sync-jobs-at-once", "0"],
    )
    .await?;
    let text = "# A\n\nText.";
    let odd = ["..", "docs/", "search", "import", "x/../a.md", "a//b.md", "/a.md"];
    let records: Vec<_> = ["a.md", "docs/x.md"].iter().chain(&odd).map(|id| (*id, text)).collect();
    let all = lines(&records);
    let web = Web::start(move |_| response(200, &[], all.clone())).await?;
    let mut body = feed(&web.url("/"));
    body["target"] = json!({"type": "knowledge", "layer": "team", "kind": "note"});
    body["allowMassDelete"] = json!(true);
    let job = try_once(&sync, &body).await?;
    expect_job(&job, "partial", &json!({"added": 2, "rejected": odd.len()}))?;
    let codes: Vec<String> = sqlx::query_scalar("select distinct code from sync.rejects")
        .fetch_all(&sync.memory.ground.root)
        .await?;
    ensure!(codes == ["INVALID_PATH"], "{codes:?}");
    // What a crash may have meant to put there is taken for nothing, and removes nobody else's item.
    sqlx::query("update sync.items set intended_ids = array[external_id] where external_id = 'x/../a.md'")
        .execute(&sync.memory.ground.root)
        .await?;
    web.answer(move |_| response(200, &[], lines(&[("a.md", text), ("docs/x.md", text)])));
    let job = try_once(&sync, &body).await?;
    expect_job(&job, "succeeded", &json!({"unchanged": 2}))?;
    for path in ["a.md", "docs/x.md"] {
        knowledge.get(ADMIN, &format!("/knowledge/{path}")).await?.expect(200)?;
    }
    Ok(())
}

#[tokio::test]
async fn failures_of_one_kind_do_not_use_up_the_patience_with_another() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let asked = std::sync::atomic::AtomicUsize::new(0);
    // Eight pauses, then the feed is away seven times, and is there.
    let web = Web::start(move |_| match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0..8 => response(429, &[], ""),
        8..15 => response(503, &[], ""),
        _ => response(200, &[], lines(&[("a", "A")])),
    })
    .await?;
    let id = sync.start_job("acme", &feed(&web.url("/feed"))).await?.id()?;
    for _ in 0..16 {
        sync.let_time_pass().await?;
        drive(&sync.context(), sync.claim().await?).await;
    }
    expect_job(&sync.end_of("acme", id).await?, "succeeded", &json!({"added": 1}))
}

#[tokio::test]
async fn a_feed_that_wants_pauses_gets_more_patience_than_workers_that_die() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let web = Web::start(|_| response(429, &[], "")).await?;
    let id = sync.start_job("acme", &feed(&web.url("/feed"))).await?.id()?;
    let path = format!("/api/v1/sync/status/{id}");
    for nth in 1..=20 {
        sync.let_time_pass().await?;
        drive(&sync.context(), sync.claim().await?).await;
        let job = sync.get("acme", &path).await?;
        let status = if nth < 20 { "queued" } else { "failed" };
        ensure!(job.body["status"] == status, "after {nth}: {}", job.text);
        ensure!(
            job.body["error"]["code"] == "SOURCE_RATE_LIMITED",
            "after {nth}: {}",
            job.text
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_is_too_many_is_known_before_it_is_delivered() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let web = Web::start(|asked| match asked.path.as_str() {
        "/feed" => response(
            200,
            &[("link", "</2>; rel=next")],
            lines(&[("a", "A"), ("b", "B"), ("c", "C")]),
        ),
        "/many" => response(200, &[], "1\n".repeat(8 << 20)),
        _ => response(200, &[], lines(&[("d", "D"), ("e", "E"), ("f", "F")])),
    })
    .await?;
    let mut body = feed(&web.url("/feed"));
    body["limits"] = json!({"maxItems": 5});
    let job = try_once(&sync, &body).await?;
    expect_error(&job, "data", "TOO_MANY_ITEMS")?;
    ensure!(
        sync.memories("acme").await? == ["A", "B", "C"],
        "{:?}",
        sync.memories("acme").await?
    );
    let job = try_once(&sync, &feed(&web.url("/many"))).await?;
    expect_error(&job, "data", "TOO_MANY_ITEMS")?;
    expect_job(&job, "failed", &json!({"processed": 0}))
}
