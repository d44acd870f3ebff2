//! A bucket that speaks S3 into memories.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use aeterna_kit::hex::hex;
use anyhow::{Result, ensure};
use axum::response::Response;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::feed_faults::{expect_error, try_once};
use super::service::{Sync, expect_job};
use super::web::{Asked, Web, response};

/// Keys of one page of a list.
const PAGE: usize = 40;

#[derive(Default)]
struct Held {
    objects: BTreeMap<String, String>,
    /// What is answered instead, to requests whose path holds the text.
    fault: Option<(&'static str, u16, &'static str)>,
}

/// A small server of a bucket `docs`: ListObjectsV2 with pages, GET with an entity tag.
struct Bucket {
    web: Web,
    held: Arc<Mutex<Held>>,
}

impl Bucket {
    async fn start() -> Result<Self> {
        let held = Arc::<Mutex<Held>>::default();
        let answering = Arc::clone(&held);
        let answer = move |asked: &Asked| answer(&answering.lock().unwrap_or_else(PoisonError::into_inner), asked);
        Ok(Self {
            web: Web::start(answer).await?,
            held,
        })
    }

    fn change(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn put(&self, key: &str, text: impl Into<String>) {
        self.change(|held| drop(held.objects.insert(key.to_owned(), text.into())));
    }

    fn body(&self, prefix: &str) -> Value {
        json!({
            "source": {"type": "s3", "config": {
                "endpoint": self.web.url(""), "bucket": "docs", "prefix": prefix, "region": "eu-west-1", "secretRef": "bucket",
            }},
            "target": {"type": "memory", "layer": "team"},
        })
    }

    /// Returns how many lists and how many objects were asked for since the last time.
    fn asked(&self) -> (usize, usize) {
        let asked = self.web.take_asked();
        let lists = asked.iter().filter(|asked| asked.path.contains("list-type=2")).count();
        (lists, asked.len() - lists)
    }
}

fn tag(text: &str) -> String {
    hex(Sha256::digest(text).get(..8).unwrap_or_default())
}

fn answer(held: &Held, asked: &Asked) -> Response {
    if let Some((_, status, body)) = held.fault.filter(|(text, ..)| asked.path.contains(text)) {
        return response(status, &[], body);
    }
    let signed = asked.header("authorization");
    if !signed.starts_with("AWS4-HMAC-SHA256 Credential=KEY/") || !signed.contains("/eu-west-1/s3/aws4_request") {
        return response(403, &[], "<Error><Code>AccessDenied</Code></Error>");
    }
    let (path, query) = asked.path.split_once('?').unwrap_or((asked.path.as_str(), ""));
    if !query.contains("list-type=2") {
        let found = held.objects.get(path.trim_start_matches("/docs/"));
        return found.map_or_else(
            || response(404, &[], "<Error><Code>NoSuchKey</Code></Error>"),
            |text| {
                let etag = format!("\"{}\"", tag(text));
                let modified = ("last-modified", "Wed, 21 Oct 2015 07:28:00 GMT");
                response(200, &[("etag", &etag), modified], text.clone())
            },
        );
    }
    let said = |name: &str| {
        let value = query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_default().replace("%2F", "/")
    };
    let (prefix, after) = (said("prefix"), said("continuation-token"));
    let keys: Vec<_> = held
        .objects
        .iter()
        .filter(|(key, _)| key.starts_with(&prefix) && **key > after)
        .collect();
    let (now, later) = keys.split_at(keys.len().min(PAGE));
    let mut list = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><Name>docs</Name><IsTruncated>{}</IsTruncated>",
        !later.is_empty()
    );
    for (key, text) in now {
        let _ = write!(
            list,
            "<Contents><Key>{key}</Key><LastModified>2015-10-21T07:28:00.000Z</LastModified>\
             <ETag>&quot;{}&quot;</ETag><Size>{}</Size></Contents>",
            tag(text),
            text.len()
        );
    }
    if let (Some((last, _)), false) = (now.last(), later.is_empty()) {
        let _ = write!(list, "<NextContinuationToken>{last}</NextContinuationToken>");
    }
    list.push_str("</ListBucketResult>");
    response(200, &[("content-type", "application/xml")], list)
}

async fn start(sync: &Sync) -> Result<Bucket> {
    let bucket = Bucket::start().await?;
    sync.write_sendable("acme", "bucket", "KEY:s3cret", &[&bucket.web.url("/")])?;
    Ok(bucket)
}

#[tokio::test]
async fn a_bucket_is_listed_page_by_page_and_only_what_changed_is_read_again() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let bucket = start(&sync).await?;
    for n in 0..70 {
        bucket.put(&format!("handbook/{n:02}.md"), format!("page {n:02}"));
    }
    for other in [
        "handbook/picture.png",
        "handbook/.hidden/x.md",
        "handbooks/x.md",
        "x.md",
    ] {
        bucket.put(other, "nobody's business");
    }
    let body = bucket.body("handbook");
    let job = try_once(&sync, &body).await?;
    expect_job(
        &job,
        "succeeded",
        &json!({"processed": 70, "added": 70, "estimate": 70}),
    )?;
    ensure!(
        bucket.asked() == (2, 70) && !job.text.contains("s3cret"),
        "{}",
        job.text
    );
    ensure!(sync.memories("acme").await?.len() == 70);

    bucket.put("handbook/00.md", "page 00, second edition");
    bucket.put("handbook/deep/70.md", "page 70");
    bucket.change(|held| drop(held.objects.remove("handbook/01.md")));
    let job = try_once(&sync, &body).await?;
    expect_job(
        &job,
        "succeeded",
        &json!({"added": 1, "updated": 1, "deleted": 1, "unchanged": 68}),
    )?;
    ensure!(bucket.asked() == (2, 2), "what is as it was is not read");
    let memories = sync.memories("acme").await?;
    ensure!(memories.len() == 70 && memories.contains(&"page 00, second edition".to_owned()));

    // Most of it vanishes: the guard of every source.
    bucket.change(|held| held.objects.retain(|key, _| key.starts_with("handbook/0")));
    expect_error(&try_once(&sync, &body).await?, "data", "MASS_DELETE")?;
    ensure!(sync.memories("acme").await?.len() == 70);
    Ok(())
}

#[tokio::test]
async fn each_fault_of_a_bucket_has_its_class_and_its_code() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let bucket = start(&sync).await?;
    bucket.put("a.md", "A");
    let slow = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
    for (status, answer, class, code) in [
        (
            403,
            "<Error><Code>AccessDenied</Code></Error>",
            "auth",
            "SOURCE_REFUSED",
        ),
        (401, "", "auth", "SOURCE_REFUSED"),
        (
            404,
            "<Error><Code>NoSuchBucket</Code></Error>",
            "config",
            "SOURCE_NOT_FOUND",
        ),
        (503, slow, "rate_limited", "SOURCE_RATE_LIMITED"),
        (429, "", "rate_limited", "SOURCE_RATE_LIMITED"),
        (503, "", "transient", "SOURCE_AWAY"),
        (500, "", "transient", "SOURCE_AWAY"),
        (418, "", "config", "SOURCE_STRANGE"),
        (200, "a page of somebody", "config", "SOURCE_STRANGE"),
    ] {
        bucket.change(|held| held.fault = Some(("list-type=2", status, answer)));
        expect_error(&try_once(&sync, &bucket.body("")).await?, class, code)?;
    }
    // In the middle of a run.
    bucket.change(|held| held.fault = Some(("/docs/a.md", 503, slow)));
    expect_error(
        &try_once(&sync, &bucket.body("")).await?,
        "rate_limited",
        "SOURCE_RATE_LIMITED",
    )?;
    bucket.change(|held| held.fault = None);
    bucket.put("b.md", "B");
    let mut few = bucket.body("");
    few["limits"] = json!({"maxItems": 1});
    expect_error(&try_once(&sync, &few).await?, "data", "TOO_MANY_ITEMS")?;

    // What is about one object is its reject.
    bucket.put("large.md", "x".repeat((1 << 20) + 1));
    bucket.change(|held| held.fault = Some(("/docs/b.md", 403, "")));
    let job = try_once(&sync, &bucket.body("")).await?;
    expect_job(&job, "partial", &json!({"added": 1, "rejected": 2}))?;
    let rejects: Vec<(String, String)> = sqlx::query_as("select external_id, code from sync.rejects order by 1")
        .fetch_all(&sync.memory.ground.root)
        .await?;
    let expected = [("b.md", "UNREADABLE"), ("large.md", "TOO_LARGE")];
    ensure!(
        rejects == expected.map(|(id, code)| (id.to_owned(), code.to_owned())),
        "{rejects:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_no_path_is_rejected_alone() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let bucket = start(&sync).await?;
    for key in ["docs/a.md", "docs/a//b.md", "docs/../c.md", "docs//d.png", "docs/"] {
        bucket.put(key, "text");
    }
    for mode in ["incremental", "full"] {
        let mut body = bucket.body("docs");
        body["mode"] = json!(mode);
        let job = try_once(&sync, &body).await?;
        expect_job(&job, "partial", &json!({"processed": 3, "rejected": 2}))?;
        ensure!(sync.memories("acme").await? == ["text"]);
    }
    let rejects: Vec<(String, String)> = sqlx::query_as("select external_id, code from sync.rejects order by 1")
        .fetch_all(&sync.memory.ground.root)
        .await?;
    let expected = [("../c.md", "NO_PATH"), ("a//b.md", "NO_PATH")];
    ensure!(
        rejects == expected.map(|(id, code)| (id.to_owned(), code.to_owned())),
        "{rejects:?}"
    );
    let mut few = bucket.body("docs");
    few["limits"] = json!({"maxItems": 2});
    expect_error(&try_once(&sync, &few).await?, "data", "TOO_MANY_ITEMS")
}

#[tokio::test]
async fn a_bucket_is_guarded_as_every_source_is() -> Result<()> {
    let sync = Sync::by_hand().await?;
    let bucket = start(&sync).await?;
    bucket.put("a.md", "A");
    let with = |field: &str, value: Value| {
        let mut body = bucket.body("");
        body["source"]["config"][field] = value;
        body
    };
    let inside = bucket.web.url("").replace("127.0.0.1", "127.0.0.2");
    expect_error(
        &try_once(&sync, &with("endpoint", json!(inside))).await?,
        "config",
        "SECRET_FORBIDDEN",
    )?;
    let mut unsigned = with("endpoint", json!(inside));
    unsigned["source"]["config"]["secretRef"] = Value::Null;
    expect_error(&try_once(&sync, &unsigned).await?, "config", "SOURCE_FORBIDDEN")?;
    sync.write_sendable("acme", "token", "no pair", &[&bucket.web.url("/")])?;
    expect_error(
        &try_once(&sync, &with("secretRef", json!("token"))).await?,
        "config",
        "SECRET_UNFIT",
    )?;
    ensure!(bucket.asked() == (0, 0), "nobody is asked");
    for (field, value) in [
        ("endpoint", "file:///etc"),
        ("bucket", "../x"),
        ("bucket", ""),
        ("prefix", "../x"),
        ("region", "a b"),
    ] {
        let answer = sync.start_job("acme", &with(field, json!(value))).await?;
        answer.expect_problem(422, "INVALID_BODY")?;
    }
    Ok(())
}
