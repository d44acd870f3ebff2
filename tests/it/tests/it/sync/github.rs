//! Issues of a repository, from a server that answers as GitHub's REST API does.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use axum::response::Response;
use reqwest::Url;
use serde_json::{Value, json};
use sync_service::worker::{Point, drive};

use super::kills::crash_at;
use super::service::{Sync, expect_job};
use super::web::{Asked, Web, response};

/// An issue: its title, its state, and the second of its last change.
#[derive(Clone)]
struct Issue {
    title: String,
    state: &'static str,
    second: i64,
}

/// A repository's issues by their numbers.
#[derive(Clone, Default)]
struct Repository(Arc<Mutex<BTreeMap<u64, Issue>>>);

impl Repository {
    fn set(&self, number: u64, title: &str, state: &'static str, second: i64) {
        let title = title.to_owned();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(number, Issue { title, state, second });
    }

    /// Sets issues, each a second after the one before it; `title` says which.
    fn fill(&self, numbers: RangeInclusive<u64>, title: &str, state: &'static str, second: i64) {
        for number in numbers {
            let title = title.replace('#', &format!("{number:02}"));
            self.set(number, &title, state, second.saturating_add_unsigned(number));
        }
    }

    fn remove(&self, number: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }

    /// Answers a request for issues: sorted by change, from a second on, so many a page, and a `Link` where there are more.
    fn list(&self, url: &Url) -> Response {
        let asked: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let of = |name: &str| asked.get(name).map(String::as_str);
        if (of("sort"), of("direction"), of("state")) != (Some("updated"), Some("asc"), Some("all")) {
            return response(422, &[], "this repository lists by change");
        }
        let number = |name, default| of(name).and_then(|value| value.parse().ok()).unwrap_or(default);
        let (size, page) = (number("per_page", 30), number("page", 1_usize));
        let since = of("since").and_then(|since| since.parse::<jiff::Timestamp>().ok());
        let since = since.map_or(i64::MIN, jiff::Timestamp::as_second);
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut found: Vec<_> = all.into_iter().filter(|(_, issue)| issue.second >= since).collect();
        found.sort_by_key(|(number, issue)| (issue.second, *number));
        let rest = found.get((page - 1) * size..).unwrap_or_default();
        let (now, later) = rest.split_at(rest.len().min(size));
        let records: Vec<Value> = now.iter().map(|(number, issue)| record(*number, issue)).collect();
        let mut next = url.clone();
        next.query_pairs_mut()
            .clear()
            .extend_pairs(asked.iter().filter(|(name, _)| *name != "page"));
        next.query_pairs_mut().append_pair("page", &(page + 1).to_string());
        let link = format!("<{}?{}>; rel=\"next\"", next.path(), next.query().unwrap_or_default());
        let headers: &[(&str, &str)] = if later.is_empty() { &[] } else { &[("link", &link)] };
        response(200, headers, json!(records).to_string())
    }
}

fn record(number: u64, issue: &Issue) -> Value {
    let updated = jiff::Timestamp::from_second(issue.second).unwrap_or_default();
    json!({
        "number": number, "title": issue.title, "state": issue.state, "updated_at": updated.to_string(), "body": "Body.",
        "html_url": format!("https://github.com/team/docs/issues/{number}"), "user": {"login": "ann"}, "labels": [],
    })
}

/// Serves a repository at `/repos/team/docs/issues`.
async fn serve(repository: &Repository) -> Result<Web> {
    let repository = repository.clone();
    let answer = move |asked: &Asked| match Url::parse("http://127.0.0.1/").and_then(|base| base.join(&asked.path)) {
        Ok(url) if url.path() == "/repos/team/docs/issues" => repository.list(&url),
        Ok(_) | Err(_) => response(404, &[], "{}"),
    };
    Web::start(answer).await
}

fn issues(web: &Web, state: &str) -> Value {
    json!({
        "source": {"type": "github", "config": {"apiUrl": web.url(""), "repository": "team/docs", "state": state}},
        "target": {"type": "memory", "layer": "team"},
    })
}

/// The titles of the issues that are memories.
async fn titles(sync: &Sync, tenant: &str) -> Result<Vec<String>> {
    let texts = sync.memories(tenant).await?;
    let title = |text: &String| Some(text.lines().next()?.trim_start_matches("# ").to_owned());
    texts.iter().map(|text| title(text).context("a title")).collect()
}

fn in_mode(mode: &str, mut body: Value) -> Value {
    body["mode"] = json!(mode);
    body
}

#[tokio::test]
async fn issues_become_memories_and_the_next_run_asks_for_what_changed() -> Result<()> {
    let (sync, repository) = (Sync::start().await?, Repository::default());
    repository.fill(1..=70, "issue #", "open", 1_000);
    let web = serve(&repository).await?;
    let body = issues(&web, "all");
    let first = sync.run_job("acme", &body).await?;
    expect_job(
        &first,
        "succeeded",
        &json!({"processed": 70, "added": 70, "deleted": 0}),
    )?;
    let expected: Vec<_> = (1..=70).map(|number| format!("issue {number:02}")).collect();
    ensure!(titles(&sync, "acme").await? == expected);
    let text = sync.memories("acme").await?.remove(0);
    ensure!(
        text.contains("Issue team/docs#1 (open) by ann, <https://github.com/team/docs/issues/1>")
            && text.contains("Body.")
    );
    web.take_asked();

    repository.set(7, "issue 07, edited", "closed", 2_000);
    repository.set(71, "issue 71", "open", 2_001);
    let second = sync.run_job("acme", &body).await?;
    // The last two of the run before are met again: their seconds may not have been over.
    expect_job(
        &second,
        "succeeded",
        &json!({"processed": 4, "added": 1, "updated": 1, "unchanged": 2, "deleted": 0}),
    )?;
    let asked = web.take_asked();
    ensure!(asked.len() == 1 && asked[0].path.contains("since="), "{asked:?}");
    ensure!(titles(&sync, "acme").await?.contains(&"issue 07, edited".to_owned()));

    // Nobody tells of an issue that is gone; a full run finds it.
    repository.remove(9);
    let third = sync.run_job("acme", &body).await?;
    expect_job(&third, "succeeded", &json!({"deleted": 0}))?;
    let full = sync.run_job("acme", &in_mode("full", body)).await?;
    expect_job(
        &full,
        "succeeded",
        &json!({"processed": 71, "deleted": 1, "unchanged": 70}),
    )?;
    ensure!(!titles(&sync, "acme").await?.contains(&"issue 09".to_owned()));
    Ok(())
}

#[tokio::test]
async fn many_issues_of_one_second_are_all_met() -> Result<()> {
    let (sync, repository) = (Sync::start().await?, Repository::default());
    for number in 1..=100 {
        repository.set(number, &format!("issue {number:03}"), "open", 1_000);
    }
    repository.set(101, "issue 101", "open", 1_001);
    let web = serve(&repository).await?;
    let job = sync.run_job("acme", &issues(&web, "all")).await?;
    expect_job(&job, "succeeded", &json!({"processed": 101, "added": 101}))
}

/// An issue that changes moves to the end of the list, and the ones behind it move up.
#[tokio::test]
async fn an_issue_that_changes_while_the_run_reads_pushes_none_out() -> Result<()> {
    let (sync, repository) = (Sync::by_hand().await?, Repository::default());
    repository.fill(1..=70, "issue #", "open", 1_000);
    let web = serve(&repository).await?;
    let started = sync.start_job("acme", &issues(&web, "all")).await?;
    started.expect(202)?;
    // A worker takes the first page and dies; meanwhile five issues of it change.
    ensure!(crash_at(&sync.context(), sync.claim().await?, Point::Committed, 0).await?);
    repository.fill(1..=5, "issue #, edited", "open", 2_000);
    sync.let_time_pass().await?;
    drive(&sync.context(), sync.claim().await?).await;
    let job = sync.end_of("acme", started.id()?).await?;
    expect_job(&job, "succeeded", &json!({"processed": 70, "deleted": 0}))?;
    let found = titles(&sync, "acme").await?;
    ensure!(
        found.len() == 70 && found[4] == "issue 05, edited" && found[40] == "issue 41",
        "{found:?}"
    );
    Ok(())
}

/// A worker that dies in a run that lists only changes is followed by one that lists only changes: what it does not list is
/// not gone.
#[tokio::test]
async fn a_run_of_changes_stays_one_when_another_worker_goes_on() -> Result<()> {
    let (sync, repository) = (Sync::by_hand().await?, Repository::default());
    repository.fill(1..=50, "old", "open", 1_000);
    let web = serve(&repository).await?;
    let body = issues(&web, "all");
    sync.start_job("acme", &body).await?.expect(202)?;
    drive(&sync.context(), sync.claim().await?).await;
    repository.fill(1..=40, "new", "open", 2_000);
    let started = sync.start_job("acme", &body).await?;
    ensure!(crash_at(&sync.context(), sync.claim().await?, Point::Committed, 0).await?);
    sync.let_time_pass().await?;
    drive(&sync.context(), sync.claim().await?).await;
    let job = sync.end_of("acme", started.id()?).await?;
    expect_job(&job, "succeeded", &json!({"updated": 40, "deleted": 0}))?;
    let found = titles(&sync, "acme").await?;
    let new = found.iter().filter(|title| *title == "new").count();
    ensure!((new, found.len()) == (40, 50), "{new} of {}", found.len());
    Ok(())
}

#[tokio::test]
async fn an_issue_that_is_closed_leaves_where_only_open_ones_are_wanted() -> Result<()> {
    let (sync, repository) = (Sync::start().await?, Repository::default());
    repository.fill(1..=10, "issue #", "open", 1_000);
    repository.set(11, "never seen", "closed", 1_500);
    let web = serve(&repository).await?;
    let body = issues(&web, "open");
    expect_job(
        &sync.run_job("acme", &body).await?,
        "succeeded",
        &json!({"processed": 10, "added": 10}),
    )?;
    repository.set(3, "issue 03", "closed", 2_000);
    repository.set(12, "opened and closed", "closed", 2_001);
    let second = sync.run_job("acme", &body).await?;
    expect_job(&second, "succeeded", &json!({"deleted": 1, "added": 0}))?;
    ensure!(titles(&sync, "acme").await?.len() == 9);
    repository.set(3, "issue 03", "open", 3_000);
    expect_job(
        &sync.run_job("acme", &body).await?,
        "succeeded",
        &json!({"added": 1, "deleted": 0}),
    )
}

/// Issues that are closed show themselves page by page, and no page tells of the next one.
#[tokio::test]
async fn more_than_a_fifth_of_the_issues_is_not_closed_away() -> Result<()> {
    let (sync, repository) = (Sync::start().await?, Repository::default());
    repository.fill(1..=50, "issue #", "open", 1_000);
    let web = serve(&repository).await?;
    let body = issues(&web, "open");
    sync.run_job("acme", &body).await?;
    repository.fill(1..=11, "done", "closed", 2_000);
    let mut dry = body.clone();
    dry["dryRun"] = json!(true);
    for asked in [&dry, &body] {
        let stopped = sync.run_job("acme", asked).await?;
        ensure!(stopped.body["error"]["code"] == "MASS_DELETE", "{}", stopped.text);
        ensure!(titles(&sync, "acme").await?.len() == 50);
    }
    let mut allowed = body;
    allowed["allowMassDelete"] = json!(true);
    expect_job(
        &sync.run_job("acme", &allowed).await?,
        "succeeded",
        &json!({"deleted": 11}),
    )?;
    ensure!(titles(&sync, "acme").await?.len() == 39);
    Ok(())
}

#[tokio::test]
async fn the_token_goes_to_the_api_and_a_pause_is_kept() -> Result<()> {
    let (sync, repository) = (Sync::by_hand().await?, Repository::default());
    repository.set(1, "issue", "open", 1_000);
    let web = serve(&repository).await?;
    sync.write_sendable("acme", "github", "a-token", &[&web.url("")])?;
    let mut body = issues(&web, "all");
    body["source"]["config"]["secretRef"] = json!("github");
    let started = sync.start_job("acme", &body).await?;
    started.expect(202)?;
    ensure!(!started.text.contains("a-token"));
    let reset = (aeterna_kit::clock::now().as_second() + 600).to_string();
    web.answer(move |_| {
        let used_up = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset.as_str())];
        response(403, &used_up, "{\"message\": \"API rate limit exceeded\"}")
    });
    drive(&sync.context(), sync.claim().await?).await;
    let seen = sync
        .get("acme", &format!("/api/v1/sync/status/{}", started.id()?))
        .await?;
    ensure!(
        seen.body["status"] == "queued" && seen.body["error"]["code"] == "SOURCE_RATE_LIMITED",
        "{}",
        seen.text
    );
    let wait: f64 =
        sqlx::query_scalar("select extract(epoch from run_after - clock_timestamp())::float8 from sync.jobs")
            .fetch_one(&sync.memory.ground.root)
            .await?;
    ensure!(wait > 500.0, "{wait}");
    let asked = web.take_asked();
    ensure!(
        asked
            .iter()
            .all(|asked| asked.header("authorization") == "Bearer a-token"),
        "{asked:?}"
    );
    ensure!(asked[0].header("accept") == "application/vnd.github+json");
    Ok(())
}
