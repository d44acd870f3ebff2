//! Who may do what without a guard: the same as docs/rbac.md says. And every error code that the other tests do not reach.

use std::net::Ipv4Addr;

use aeterna_testkit::Postgres;
use anyhow::{Result, ensure};
use axum::routing::post;
use axum::{Json, Router};
use reqwest::Method;
use serde_json::{Value, json};

use super::service::{ADMIN, As, Service};
use crate::api::service::{Answer, send};

const ANN: As = As("acme", "anna", "Developer");
const BEN: As = As("acme", "ben", "Developer");
const BOT: As = As("acme", "bot", "Agent");
const LEAD: As = As("acme", "tom", "TechLead");
const ARCHITECT: As = As("acme", "art", "Architect");
const VIEWER: As = As("acme", "vic", "Viewer");

fn note(content: &str, status: &str) -> Value {
    json!({"content": content, "kind": "note", "layer": "team", "status": status})
}

fn at(path: &str, mut body: Value) -> Value {
    body["path"] = json!(path);
    body
}

async fn delete(service: &Service, who: As, path: &str) -> Result<Answer> {
    let request = service.request(who, Method::DELETE, &format!("/knowledge/{path}"));
    send(request.header("If-Match", "*")).await
}

#[tokio::test]
async fn accepting_takes_an_architect_and_anothers_proposal_an_editor() -> Result<()> {
    let service = Service::start().await?;
    let proposed = at("a.md", note("of ann", "proposed"));
    service.post(ANN, "/knowledge", &proposed).await?.expect(201)?;
    for who in [BEN, BOT] {
        for body in [note("of ann", "draft"), note("of another", "proposed")] {
            service
                .put(who, "a.md", &body)
                .await?
                .expect_problem(403, "FORBIDDEN")?;
        }
        delete(&service, who, "a.md").await?.expect_problem(403, "FORBIDDEN")?;
        let withdraw = json!({"path": "a.md", "version": 1, "decision": "withdraw"});
        let refused = service.post(who, "/notes/review", &withdraw).await?;
        refused.expect_problem(403, "FORBIDDEN")?;
    }
    let accepted = note("of ann", "accepted");
    service
        .put(LEAD, "a.md", &accepted)
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    service
        .put(LEAD, "a.md", &note("edited", "proposed"))
        .await?
        .expect(200)?;
    service
        .put(ARCHITECT, "a.md", &note("edited", "accepted"))
        .await?
        .expect(200)?;
    // What is accepted is changed by who may accept, and ended by an editor.
    let changed = note("changed", "accepted");
    service
        .put(LEAD, "a.md", &changed)
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    service
        .put(LEAD, "a.md", &note("edited", "deprecated"))
        .await?
        .expect(200)?;
    service.note(ANN, "b.md", "of ann").await?.expect(201)?;
    delete(&service, ANN, "b.md").await?.expect(204)
}

#[tokio::test]
async fn a_refusal_tells_nothing_of_what_the_caller_may_not_see() -> Result<()> {
    let service = Service::start().await?;
    service.note(ANN, "Plans/Takeover.md", "secret").await?.expect(201)?;
    for path in ["plans/takeover.md", "plans", "Plans/Takeover.md/x.md"] {
        let refused = service.note(BEN, path, "x").await?;
        refused.expect_problem(409, "PATH_COLLISION")?;
        ensure!(
            !refused.body["detail"].to_string().contains("Takeover"),
            "{}",
            refused.text
        );
        let told = service.note(LEAD, path, "x").await?;
        ensure!(told.text.contains("Plans/Takeover.md"), "{}", told.text);
        // Who may not write learns nothing at all.
        service
            .note(VIEWER, path, "x")
            .await?
            .expect_problem(403, "FORBIDDEN")?;
        delete(&service, VIEWER, path).await?.expect_problem(403, "FORBIDDEN")?;
    }
    Ok(())
}

/// A model whose answer is too long for an item.
async fn long_winded() -> Result<String> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    let said = json!({"problem": "word ".repeat(60_000), "solution": "An index."}).to_string();
    let answer = json!({"choices": [{"message": {"content": said}}]});
    let router = Router::new().route("/v1/chat/completions", post(async move || Json(answer)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

#[tokio::test]
async fn colours_and_a_model_that_says_too_much_keep_no_note_from_being_made() -> Result<()> {
    let url = long_winded().await?;
    let options = [
        "--auth-mode",
        "disabled",
        "--notes-model-url",
        &url,
        "--notes-model",
        "any",
    ];
    let service = Service::start_on(Postgres::shared().await?, &options).await?;
    let body = json!({"layer": "team", "tags": ["password=hunter2"], "events": [
        {"description": "\u{1b}[31mThe build\u{1b}[0m\u{7} failed", "success": false},
        {"description": "Cleared the \u{1b}[1mcache\r\nand ran it", "success": true, "output": "fine"},
    ]});
    let made = service.post(ADMIN, "/notes", &body).await?;
    made.expect(201)?;
    ensure!(made.body["generator"]["kind"] == "extractive", "{}", made.text);
    ensure!(made.body["title"] == "The build failed", "{}", made.text);
    ensure!(
        !made.text.contains("u001b") && !made.text.contains("hunter2"),
        "{}",
        made.text
    );
    ensure!(made.body["redactions"] == 1, "{}", made.text);
    Ok(())
}

#[tokio::test]
async fn every_code_is_reached_by_a_request() -> Result<()> {
    let service = Service::start().await?;
    service
        .post(ADMIN, "/knowledge", &at("a.md", note("text", "accepted")))
        .await?
        .expect(201)?;
    let body = json!({"layer": "team", "text": "The rollout failed. We added a probe."});
    let made = service.post(ADMIN, "/notes", &body).await?;
    made.expect(201)?;
    let path = made.body["path"].as_str().unwrap_or_default().to_owned();
    service
        .put(ADMIN, &path, &note("Something else.", "draft"))
        .await?
        .expect(200)?;
    let send_bytes = async |method: Method, path: &str, kind: &'static str, body: Vec<u8>| {
        let request = service.request(ADMIN, method, path).header("Content-Type", kind);
        send(request.header("If-Match", "*").body(body)).await
    };
    let (json_kind, file) = ("application/json", "text/markdown");
    let large = vec![b'x'; 2 << 20];
    let put = Method::PUT;
    for (answer, status, code) in [
        (
            send_bytes(put.clone(), "/knowledge/a.md", file, vec![0xff, 0xfe]).await?,
            400,
            "INVALID_UTF8",
        ),
        (
            send_bytes(put.clone(), "/knowledge/a.md", file, large.clone()).await?,
            413,
            "PAYLOAD_TOO_LARGE",
        ),
        (
            send_bytes(put, "/knowledge/a.md", json_kind, b"{".to_vec()).await?,
            400,
            "MALFORMED_JSON",
        ),
        (
            send_bytes(Method::POST, "/knowledge", json_kind, large).await?,
            413,
            "PAYLOAD_TOO_LARGE",
        ),
        (
            send_bytes(Method::POST, "/knowledge", json_kind, b"{\"a\":\xff}".to_vec()).await?,
            400,
            "INVALID_UTF8",
        ),
        (
            send_bytes(Method::POST, "/notes", "text/plain", b"x".to_vec()).await?,
            415,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (
            service.put(ADMIN, "a.md", &note("text", "draft")).await?,
            409,
            "INVALID_TRANSITION",
        ),
        (
            service.put(ADMIN, "a.md", &note("text", "superseded")).await?,
            409,
            "INVALID_TRANSITION",
        ),
        (
            service
                .post(ADMIN, "/knowledge", &at("b.md", note("x", "rejected")))
                .await?,
            409,
            "INVALID_TRANSITION",
        ),
        (service.post(ADMIN, "/notes", &body).await?, 409, "KNOWLEDGE_CONFLICT"),
        (
            service.get(ADMIN, "/knowledge/a.md?depth=2").await?,
            400,
            "INVALID_PARAMETER",
        ),
        (
            service.get(ADMIN, "/knowledge/a.md?view=history&from=1").await?,
            400,
            "INVALID_PARAMETER",
        ),
        (
            service.get(ADMIN, "/knowledge/?view=diff").await?,
            400,
            "INVALID_PARAMETER",
        ),
        (service.get(ADMIN, "/knowledge/con.md").await?, 422, "INVALID_PATH"),
    ] {
        answer.expect_problem(status, code)?;
    }
    Ok(())
}

#[tokio::test]
async fn each_form_has_a_tag_of_its_own_and_a_write_takes_either() -> Result<()> {
    let service = Service::start().await?;
    service.note(ADMIN, "a.md", "one").await?.expect(201)?;
    let read = |accept: &'static str, known: &'static str| {
        let request = service.request(ADMIN, Method::GET, "/knowledge/a.md");
        send(request.header("Accept", accept).header("If-None-Match", known))
    };
    let (json_form, file) = ("application/json", "text/markdown");
    let (json_tag, file_tag) = ("\"1\"", "\"1-md\"");
    let whole = read(file, json_tag).await?;
    ensure!(
        whole.status == 200 && whole.headers["etag"] == file_tag,
        "{:?}",
        whole.headers
    );
    let whole = read(json_form, file_tag).await?;
    ensure!(
        whole.status == 200 && whole.headers["etag"] == json_tag,
        "{:?}",
        whole.headers
    );
    let hash = whole.body["contentHash"].as_str().unwrap_or_default();
    ensure!(hash.len() == 71 && hash.starts_with("sha256:"), "{hash}");
    read(file, file_tag).await?.expect(304)?;
    read(json_form, json_tag).await?.expect(304)?;
    for (tag, text, status) in [
        ("\"1-md\"", "two", 200),
        ("\"2\"", "three", 200),
        ("\"2-md\"", "four", 412),
    ] {
        let request = service
            .request(ADMIN, Method::PUT, "/knowledge/a.md")
            .header("If-Match", tag);
        send(request.json(&note(text, "draft"))).await?.expect(status)?;
    }
    Ok(())
}
