//! The life of an item: who may bring it where, and what stands for ever.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::service::{ADMIN, As, Service};

const ADR: &str = "# Store\n## Context\nWe need one.\n## Decision\nPostgres.\n## Consequences\nWe run it.\n";
const DEVELOPER: As = As("acme", "dev", "Developer");
const OTHER: As = As("acme", "other", "Developer");
const VIEWER: As = As("acme", "vic", "Viewer");

fn adr(status: &str) -> Value {
    json!({"content": ADR, "kind": "adr", "layer": "company", "status": status})
}

fn at(path: &str, mut body: Value) -> Value {
    body["path"] = json!(path);
    body
}

#[tokio::test]
async fn a_decision_is_proposed_accepted_and_then_stands() -> Result<()> {
    let service = Service::start().await?;
    let path = "company/adrs/1.md";
    service
        .post(VIEWER, "/knowledge", &at(path, adr("draft")))
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    service
        .post(DEVELOPER, "/knowledge", &at(path, adr("accepted")))
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    service
        .post(DEVELOPER, "/knowledge", &at(path, adr("draft")))
        .await?
        .expect(201)?;
    // A draft is its author's.
    service
        .get(OTHER, "/knowledge/company/adrs/1.md")
        .await?
        .expect_problem(404, "KNOWLEDGE_NOT_FOUND")?;
    let listed = service.get(OTHER, "/knowledge/company/adrs/").await?;
    ensure!(listed.body["entries"] == json!([]), "{}", listed.text);
    service
        .put(OTHER, path, &adr("draft"))
        .await?
        .expect_problem(409, "PATH_COLLISION")?;
    service.put(DEVELOPER, path, &adr("proposed")).await?.expect(200)?;
    service.get(OTHER, "/knowledge/company/adrs/1.md").await?.expect(200)?;
    service
        .put(DEVELOPER, path, &adr("accepted"))
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    service.put(ADMIN, path, &adr("accepted")).await?.expect(200)?;
    let mut other = adr("accepted");
    other["content"] = json!(format!("{ADR}\nOr not.\n"));
    service
        .put(ADMIN, path, &other)
        .await?
        .expect_problem(409, "IMMUTABLE_KIND")?;
    service
        .put(ADMIN, path, &adr("draft"))
        .await?
        .expect_problem(409, "INVALID_TRANSITION")?;
    // The version in which it was a draft stays its author's.
    let history = service.get(OTHER, "/knowledge/company/adrs/1.md?view=history").await?;
    ensure!(
        history.body["versions"].as_array().map(Vec::len) == Some(2),
        "{}",
        history.text
    );
    let draft = service.get(OTHER, "/knowledge/company/adrs/1.md?version=1").await?;
    draft.expect_problem(404, "VERSION_NOT_FOUND")
}

#[tokio::test]
async fn an_accepted_successor_supersedes_and_only_one_does() -> Result<()> {
    let service = Service::start().await?;
    service
        .post(ADMIN, "/knowledge", &at("a.md", adr("accepted")))
        .await?
        .expect(201)?;
    let mut next = adr("proposed");
    next["supersedes"] = json!("a.md");
    service
        .post(ADMIN, "/knowledge", &at("b.md", next.clone()))
        .await?
        .expect(201)?;
    ensure!(service.get(ADMIN, "/knowledge/a.md").await?.body["status"] == "accepted");
    next["status"] = json!("accepted");
    service.put(ADMIN, "b.md", &next).await?.expect(200)?;
    let old = service.get(ADMIN, "/knowledge/a.md").await?;
    ensure!(
        old.body["status"] == "superseded" && old.body["supersededBy"] == "b.md",
        "{}",
        old.text
    );
    ensure!(old.body["version"] == 2, "{}", old.text);
    service
        .post(ADMIN, "/knowledge", &at("c.md", next.clone()))
        .await?
        .expect_problem(409, "INVALID_TRANSITION")?;
    next["supersedes"] = json!("nowhere.md");
    service
        .post(ADMIN, "/knowledge", &at("d.md", next))
        .await?
        .expect_problem(409, "INVALID_TRANSITION")
}

#[tokio::test]
async fn of_two_who_change_the_same_version_one_is_told_so() -> Result<()> {
    let service = Service::start().await?;
    service.note(ADMIN, "a.md", "start").await?.expect(201)?;
    let change = |n: usize| {
        let request = service
            .request(ADMIN, reqwest::Method::PUT, "/knowledge/a.md")
            .header("If-Match", "\"1\"");
        crate::api::service::send(request.json(&json!({"content": format!("{n}"), "kind": "note", "layer": "team"})))
    };
    let answers = futures::future::try_join_all((0..8).map(change)).await?;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    ensure!(won == 1, "{won} of 8 have won");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.expect_problem(412, "PRECONDITION_FAILED")?;
    }
    Ok(())
}

#[tokio::test]
async fn what_took_a_place_goes_on_when_the_other_is_gone_and_a_new_life_has_its_own_successor() -> Result<()> {
    let service = Service::start().await?;
    let policy = |path: &str, rule: &str, supersedes: Option<&str>| {
        let content = format!("## Scope\nAll.\n## Rules\n{rule}\n");
        json!({"path": path, "content": content, "kind": "policy", "layer": "company", "status": "accepted",
            "supersedes": supersedes})
    };
    let post = async |body: Value| service.post(ADMIN, "/knowledge", &body).await?.expect(201);
    let successor =
        async || -> Result<Value> { Ok(service.get(ADMIN, "/knowledge/a.md").await?.body["supersededBy"].clone()) };
    post(policy("a.md", "One.", None)).await?;
    post(policy("b.md", "Two.", Some("a.md"))).await?;
    ensure!(successor().await? == "b.md");
    let delete = service.request(ADMIN, reqwest::Method::DELETE, "/knowledge/a.md");
    crate::api::service::send(delete.header("If-Match", "*"))
        .await?
        .expect(204)?;
    let edited = policy("b.md", "Two and a half.", Some("a.md"));
    service.put(ADMIN, "b.md", &edited).await?.expect(200)?;
    // Another life begins at the path: nothing has taken its place yet.
    post(policy("a.md", "Anew.", None)).await?;
    ensure!(successor().await? == Value::Null);
    post(policy("c.md", "Three.", Some("a.md"))).await?;
    ensure!(successor().await? == "c.md");
    // Who names another predecessor takes its place, though it was accepted before.
    post(policy("d.md", "Four.", None)).await?;
    service
        .put(ADMIN, "c.md", &policy("c.md", "Three.", Some("d.md")))
        .await?
        .expect(200)?;
    let superseded = service.get(ADMIN, "/knowledge/d.md").await?;
    ensure!(superseded.body["status"] == "superseded", "{}", superseded.text);
    Ok(())
}
