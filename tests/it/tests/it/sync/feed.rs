//! A feed over HTTP into memories and knowledge.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use axum::response::Response;
use serde_json::{Value, json};
use sync_service::worker::{Point, drive};

use super::kills::crash_at;
use super::peer::Fault;
use super::service::{Sync, expect_job};
use super::web::{Asked, Web, lines, response};

/// A start of a feed into memories of a team.
pub fn feed(url: &str) -> Value {
    json!({
        "source": {"type": "http_ndjson", "config": {"url": url}},
        "target": {"type": "memory", "layer": "team"},
    })
}

/// Answers as a feed of one document that knows its version.
fn versioned(etag: &'static str, body: String) -> impl Fn(&Asked) -> Response + Send + std::marker::Sync {
    move |asked| {
        if asked.header("if-none-match") == etag {
            return response(304, &[("etag", etag)], "");
        }
        let headers = [("etag", etag), ("content-type", "application/x-ndjson")];
        response(200, &headers, body.clone())
    }
}

#[tokio::test]
async fn a_feed_becomes_memories_and_is_not_read_again_before_it_changes() -> Result<()> {
    let sync = Sync::start().await?;
    let five = [("a", "A"), ("b", "B"), ("c", "C"), ("d", "D"), ("e", "E")];
    let web = Web::start(versioned("\"1\"", lines(&five))).await?;
    let body = feed(&web.url("/feed"));
    let first = sync.run_job("acme", &body).await?;
    let length = lines(&five).len();
    expect_job(
        &first,
        "succeeded",
        &json!({"processed": 5, "added": 5, "bytes": length}),
    )?;
    ensure!(sync.memories("acme").await? == ["A", "B", "C", "D", "E"]);
    ensure!(web.take_asked().len() == 1, "one document is asked for once");

    let same = sync.run_job("acme", &body).await?;
    expect_job(&same, "succeeded", &json!({"processed": 0, "bytes": 0}))?;
    ensure!(same.body["result"] == first.body["result"], "{}", same.text);
    let asked = web.take_asked();
    ensure!(
        asked.len() == 1 && asked[0].header("if-none-match") == "\"1\"",
        "{asked:?}"
    );

    let changed = [
        ("a", "A"),
        ("b", "B, second edition"),
        ("c", "C"),
        ("d", "D"),
        ("f", "F"),
    ];
    web.answer(versioned("\"2\"", lines(&changed)));
    let third = sync.run_job("acme", &body).await?;
    let counts = json!({"processed": 6, "added": 1, "updated": 1, "deleted": 1, "unchanged": 3});
    expect_job(&third, "succeeded", &counts)?;
    ensure!(sync.memories("acme").await? == ["A", "B, second edition", "C", "D", "F"]);
    web.take_asked();

    // A full run asks for everything.
    let mut full = body.clone();
    full["mode"] = json!("full");
    let full = sync.run_job("acme", &full).await?;
    expect_job(&full, "succeeded", &json!({"processed": 5, "unchanged": 5}))?;
    ensure!(web.take_asked()[0].header("if-none-match").is_empty());
    Ok(())
}

#[tokio::test]
async fn documents_lead_to_the_next_one_and_together_list_all_items() -> Result<()> {
    let sync = Sync::start().await?;
    let web = Web::start(|asked| match asked.path.as_str() {
        "/feed" => {
            let many: Vec<_> = (0..70).map(|n| (format!("a{n:02}"), format!("first {n:02}"))).collect();
            let many: Vec<_> = many.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
            response(
                200,
                &[("etag", "\"1\""), ("link", "</feed?page=2>; rel=\"next\"")],
                lines(&many),
            )
        }
        "/feed?page=2" => {
            let document = json!({"items": [{"id": "b", "content": "second"}], "next": "?page=3"});
            response(200, &[("content-type", "application/json")], document.to_string())
        }
        _ => response(
            200,
            &[("content-type", "application/json")],
            r#"[{"id": "c", "content": "third"}]"#,
        ),
    })
    .await?;
    let body = feed(&web.url("/feed"));
    let job = sync.run_job("acme", &body).await?;
    expect_job(&job, "succeeded", &json!({"processed": 72, "added": 72}))?;
    let paths: Vec<_> = web.take_asked().into_iter().map(|asked| asked.path).collect();
    ensure!(paths == ["/feed", "/feed?page=2", "/feed?page=3"], "{paths:?}");
    // The first document's version says nothing about the others.
    let again = sync.run_job("acme", &body).await?;
    expect_job(&again, "succeeded", &json!({"processed": 72, "unchanged": 72}))?;
    ensure!(web.take_asked()[0].header("if-none-match").is_empty());
    Ok(())
}

#[tokio::test]
async fn a_bad_record_is_rejected_alone() -> Result<()> {
    let sync = Sync::start().await?;
    let body = format!("{}nonsense\n{{\"id\": \"b\"}}\n", lines(&[("a", "A")]));
    let web = Web::start(move |_| response(200, &[], body.clone())).await?;
    let job = sync.run_job("acme", &feed(&web.url("/"))).await?;
    expect_job(&job, "partial", &json!({"processed": 3, "added": 1, "rejected": 2}))?;
    let rejects: Vec<(String, String)> = sqlx::query_as("select external_id, code from sync.rejects order by 1")
        .fetch_all(&sync.memory.ground.root)
        .await?;
    let expected =
        [("b", "NO_CONTENT"), ("record\t1.2", "NOT_JSON")].map(|(id, code)| (id.to_owned(), code.to_owned()));
    ensure!(rejects == expected, "{rejects:?}");
    Ok(())
}

#[tokio::test]
async fn a_feed_that_changes_while_a_worker_dies_is_taken_from_its_beginning() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let document = |edition: u64| {
        let records: Vec<_> = (edition..80 + edition)
            .map(|n| (format!("{n:03}"), format!("page {n}")))
            .collect();
        let records: Vec<_> = records.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
        lines(&records)
    };
    let edition = Arc::new(AtomicU64::new(0));
    let web = {
        let edition = Arc::clone(&edition);
        Web::start(move |_| response(200, &[], document(edition.load(Ordering::SeqCst)))).await?
    };
    let id = sync.start_job("acme", &feed(&web.url("/"))).await?.id()?;
    ensure!(crash_at(&sync.context(), sync.claim().await?, Point::Committed, 1).await?);
    // Sixty-four are taken. Now ten leave at the front: whoever counted on from there would miss the same ten.
    edition.store(10, Ordering::SeqCst);
    sync.let_time_pass().await?;
    drive(&sync.context(), sync.claim().await?).await;
    let over = sync.end_of("acme", id).await?;
    // Ten are delivered and gone again, within one job.
    expect_job(&over, "succeeded", &json!({"added": 90, "deleted": 10}))?;
    let memories = sync.memories("acme").await?;
    ensure!(
        memories.len() == 80 && !memories.contains(&"page 9".to_owned()),
        "{memories:?}"
    );
    Ok(())
}

#[tokio::test]
async fn after_a_run_that_did_not_come_to_its_end_everything_is_looked_at() -> Result<()> {
    let sync = Sync::start().await?;
    let web = Web::start(versioned("\"1\"", lines(&[("a.md", "first")]))).await?;
    let mut body = feed(&web.url("/"));
    body["target"] = json!({"type": "knowledge", "layer": "team"});
    expect_job(&sync.run_job("acme", &body).await?, "succeeded", &json!({"added": 1}))?;
    // The second edition is delivered in part, then the run is refused.
    web.answer(versioned("\"2\"", lines(&[("a.md", "second"), ("b.md", "new")])));
    let fault = |status| Fault {
        status,
        retry_after: None,
        body: json!({"code": "SOME_CODE"}),
    };
    sync.knowledge.fail([fault(401)]);
    expect_job(&sync.run_job("acme", &body).await?, "failed", &json!({}))?;
    // The source goes back to what the last whole run knew. It says that nothing changed, and the target differs.
    web.answer(versioned("\"1\"", lines(&[("a.md", "first")])));
    let mut last = body.clone();
    last["allowMassDelete"] = json!(true);
    expect_job(&sync.run_job("acme", &last).await?, "succeeded", &json!({}))?;
    ensure!(sync.knowledge.paths("acme") == ["a.md"]);
    let item = sync.knowledge.item("acme", "a.md");
    ensure!(item.is_some_and(|item| item.body["content"] == "first"));
    Ok(())
}
