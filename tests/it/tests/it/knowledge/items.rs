//! Items: written, read, changed, deleted.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::service::{ADMIN, Service};
use crate::api::service::send;

#[tokio::test]
async fn an_item_is_stored_read_in_both_forms_and_the_same_again_changes_nothing() -> Result<()> {
    let service = Service::start().await?;
    let body = json!({
        "path": "teams/blue/patterns/retry.md", "tags": ["http", "http", "client"],
        "content": "---\nowner: blue\n---\n# Retry\n\n## Problem\nIt fails.\n\n## Solution\nAsk again.\n",
    });
    let made = service.post(ADMIN, "/knowledge", &body).await?;
    made.expect(201)?;
    ensure!(
        made.headers["location"] == "/api/v1/knowledge/teams/blue/patterns/retry.md",
        "{:?}",
        made.headers
    );
    let read = service.get(ADMIN, "/knowledge/teams/blue/patterns/retry.md").await?;
    read.expect(200)?;
    for (field, value) in [
        ("kind", json!("pattern")),
        ("layer", json!("team")),
        ("title", json!("Retry")),
        ("status", json!("draft")),
        ("tags", json!(["client", "http"])),
        ("metadata", json!({"owner": "blue"})),
        ("version", json!(1)),
        ("author", json!("ann")),
    ] {
        ensure!(read.body[field] == value, "{field}: {}", read.text);
    }
    ensure!(read.headers["etag"] == "\"1\"" && read.headers.contains_key("last-modified"));
    let again = service.post(ADMIN, "/knowledge", &body).await?;
    again.expect(200)?;
    ensure!(
        again.body["unchanged"] == true && again.body["version"] == 1,
        "{}",
        again.text
    );
    let path = "/knowledge/teams/blue/patterns/retry.md";
    let raw = send(
        service
            .request(ADMIN, Method::GET, path)
            .header("Accept", "text/markdown"),
    )
    .await?;
    ensure!(
        raw.headers["content-type"] == "text/markdown; charset=utf-8",
        "{:?}",
        raw.headers
    );
    ensure!(
        raw.text.starts_with("---\ntitle: Retry\n") && raw.text.ends_with("Ask again.\n"),
        "{}",
        raw.text
    );
    // The file that was read is the item: put again it changes nothing, even without a precondition.
    let put = service
        .request(ADMIN, Method::PUT, path)
        .header("Content-Type", "text/markdown")
        .body(raw.text);
    let put = send(put).await?;
    put.expect(200)?;
    ensure!(put.body["unchanged"] == true, "{}", put.text);
    let known = service
        .request(ADMIN, Method::GET, path)
        .header("If-None-Match", "\"1\"");
    send(known).await?.expect(304)
}

#[tokio::test]
async fn a_change_names_the_version_that_it_is_about() -> Result<()> {
    let service = Service::start().await?;
    service.note(ADMIN, "a.md", "one").await?.expect(201)?;
    let put = |header: Option<(&'static str, &'static str)>, text: &str| {
        let mut request = service.request(ADMIN, Method::PUT, "/knowledge/a.md");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        send(request.json(&json!({"content": text, "kind": "note", "layer": "team", "message": "why"})))
    };
    put(None, "two").await?.expect_problem(428, "PRECONDITION_REQUIRED")?;
    put(Some(("If-Match", "\"7\"")), "two")
        .await?
        .expect_problem(412, "PRECONDITION_FAILED")?;
    put(Some(("If-Match", "seven")), "two")
        .await?
        .expect_problem(400, "INVALID_HEADER")?;
    put(Some(("If-None-Match", "*")), "two")
        .await?
        .expect_problem(409, "KNOWLEDGE_CONFLICT")?;
    let changed = put(Some(("If-Match", "\"1\"")), "two").await?;
    changed.expect(200)?;
    ensure!(
        changed.headers["etag"] == "\"2\"" && changed.body["content"] == "two\n",
        "{}",
        changed.text
    );
    let other = service.note(ADMIN, "a.md", "three").await?;
    other.expect_problem(409, "KNOWLEDGE_CONFLICT")?;
    let missing = service
        .request(ADMIN, Method::PUT, "/knowledge/b.md")
        .header("If-Match", "\"1\"");
    let missing = missing.json(&json!({"content": "x", "kind": "note", "layer": "team"}));
    send(missing).await?.expect_problem(404, "KNOWLEDGE_NOT_FOUND")?;
    let elsewhere = service
        .put(ADMIN, "a.md", &json!({"path": "b.md", "content": "x"}))
        .await?;
    elsewhere.expect_problem(422, "INVALID_PATH")?;

    let history = service.get(ADMIN, "/knowledge/a.md?view=history&limit=1").await?;
    ensure!(history.body["versions"][0]["message"] == "why", "{}", history.text);
    let cursor = history.body["nextCursor"].as_str().unwrap_or_default();
    let rest = service
        .get(ADMIN, &format!("/knowledge/a.md?view=history&cursor={cursor}"))
        .await?;
    ensure!(
        rest.body["versions"][0]["action"] == "created" && rest.body["nextCursor"].is_null(),
        "{}",
        rest.text
    );
    let foreign = service.get(ADMIN, &format!("/knowledge/?cursor={cursor}")).await?;
    foreign.expect_problem(400, "INVALID_CURSOR")?;
    let diff = service.get(ADMIN, "/knowledge/a.md?view=diff").await?;
    let text = diff.body["diff"].as_str().unwrap_or_default();
    ensure!(text.contains("-one\n") && text.contains("+two\n"), "{}", diff.text);
    ensure!(diff.body["added"] == 1 && diff.body["removed"] == 1, "{}", diff.text);
    let old = service.get(ADMIN, "/knowledge/a.md?version=1").await?;
    ensure!(
        old.body["content"] == "one\n" && old.headers["etag"] == "\"1\"",
        "{}",
        old.text
    );
    service
        .get(ADMIN, "/knowledge/a.md?version=9")
        .await?
        .expect_problem(404, "VERSION_NOT_FOUND")?;
    service
        .get(ADMIN, "/knowledge/a.md?colour=red")
        .await?
        .expect_problem(400, "INVALID_PARAMETER")
}

#[tokio::test]
async fn a_deleted_item_is_gone_keeps_its_history_and_can_be_made_again() -> Result<()> {
    let service = Service::start().await?;
    service.note(ADMIN, "a.md", "one").await?.expect(201)?;
    let delete = |tag: Option<&'static str>| {
        let mut request = service.request(ADMIN, Method::DELETE, "/knowledge/a.md");
        if let Some(tag) = tag {
            request = request.header("If-Match", tag);
        }
        send(request)
    };
    delete(None).await?.expect_problem(428, "PRECONDITION_REQUIRED")?;
    delete(Some("\"2\""))
        .await?
        .expect_problem(412, "PRECONDITION_FAILED")?;
    delete(Some("\"1\"")).await?.expect(204)?;
    delete(Some("*")).await?.expect_problem(404, "KNOWLEDGE_NOT_FOUND")?;
    service
        .get(ADMIN, "/knowledge/a.md")
        .await?
        .expect_problem(410, "KNOWLEDGE_DELETED")?;
    let history = service.get(ADMIN, "/knowledge/a.md?view=history").await?;
    ensure!(history.body["versions"][0]["action"] == "deleted", "{}", history.text);
    let again = service.note(ADMIN, "a.md", "two").await?;
    again.expect(201)?;
    ensure!(again.body["version"] == 3, "{}", again.text);
    Ok(())
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_its_name() -> Result<()> {
    let service = Service::start().await?;
    let cases: [(Value, u16, &str); 10] = [
        (json!({"path": "../x", "content": "x"}), 422, "INVALID_PATH"),
        (json!({"path": "search", "content": "x"}), 422, "INVALID_PATH"),
        (json!({"content": "x"}), 422, "INVALID_PATH"),
        (json!({"path": "a", "content": " "}), 422, "INVALID_CONTENT"),
        (json!({"path": "a", "content": "x"}), 422, "INVALID_BODY"),
        (
            json!({"path": "a", "content": "x", "kind": "essay"}),
            422,
            "INVALID_BODY",
        ),
        (
            json!({"path": "a", "content": "x", "colour": "red"}),
            422,
            "INVALID_BODY",
        ),
        (
            json!({"path": "a", "content": "---\nkind: [\n---\nx"}),
            422,
            "INVALID_FRONT_MATTER",
        ),
        (
            json!({"path": "company/adrs/1.md", "content": "x"}),
            422,
            "MISSING_SECTION",
        ),
        (
            json!({"path": "company/notes/1.md", "content": "x", "status": "rejected"}),
            403,
            "FORBIDDEN",
        ),
    ];
    let developer = super::service::As("acme", "dev", "Developer");
    for (body, status, code) in cases {
        let answer = service.post(developer, "/knowledge", &body).await?;
        answer.expect_problem(status, code)?;
    }
    let traversal = service.get(ADMIN, "/knowledge/a%2F..%2F..%2Fetc%2Fpasswd").await?;
    traversal.expect_problem(422, "INVALID_PATH")?;
    // The name is the API's own, so no item can hide behind it.
    service
        .get(ADMIN, "/knowledge/search")
        .await?
        .expect_problem(405, "METHOD_NOT_ALLOWED")
}

#[tokio::test]
async fn paths_that_differ_by_case_or_lie_in_each_other_collide() -> Result<()> {
    let service = Service::start().await?;
    service.note(ADMIN, "Docs/One.md", "one").await?.expect(201)?;
    for path in ["docs/one.md", "Docs/One.md/two.md", "DOCS"] {
        let answer = service.note(ADMIN, path, "x").await?;
        answer.expect_problem(409, "PATH_COLLISION")?;
    }
    service.note(ADMIN, "docs/two.md", "x").await?.expect(201)
}

/// `make gen` writes it anew.
#[tokio::test]
async fn the_document_that_is_served_is_the_one_in_the_repository() -> Result<()> {
    let service = Service::start().await?;
    let served = service.get(ADMIN, "/openapi.json").await?;
    let kept: Value = serde_json::from_str(include_str!("../../../../../services/knowledge/openapi.json"))?;
    ensure!(
        served.body == kept,
        "services/knowledge/openapi.json is out of date: make gen"
    );
    ensure!(
        kept["paths"]["/api/v1/knowledge/{path}"].is_object(),
        "a path that OpenAPI knows"
    );
    Ok(())
}
