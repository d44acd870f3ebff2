//! Notes: distilled, without secrets, reviewed.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aeterna_testkit::Postgres;
use anyhow::{Result, ensure};
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::service::{ADMIN, As, Service, wait_until};

const AGENT: As = As("acme", "bot", "Agent");

fn events() -> Value {
    json!({"layer": "team", "tags": ["db"], "events": [
        {"description": "Looked at the slow query", "toolName": "psql", "success": true},
        {"description": "Ran it with password=hunter2secret", "toolName": "psql", "success": false, "output": "timeout. Noise"},
        {"description": "Added an index", "toolName": "psql", "success": true, "output": "3 ms"},
    ]})
}

#[tokio::test]
async fn a_note_is_made_of_events_without_their_secrets_and_once() -> Result<()> {
    let service = Service::start().await?;
    let note = service.post(AGENT, "/notes", &events()).await?;
    note.expect(201)?;
    ensure!(
        note.body["sections"]["problem"] == "Ran it with password=[redacted:password]: timeout.",
        "{}",
        note.text
    );
    ensure!(
        note.body["sections"]["solution"] == "Added an index: 3 ms.",
        "{}",
        note.text
    );
    ensure!(
        note.body["redactions"] == 1 && note.body["sourceCount"] == 3,
        "{}",
        note.text
    );
    ensure!(
        note.body["status"] == "draft" && note.body["generator"]["kind"] == "extractive",
        "{}",
        note.text
    );
    ensure!(note.body["qualityScore"].as_f64() > Some(0.7), "{}", note.text);
    let again = service.post(AGENT, "/notes", &events()).await?;
    ensure!(
        again.status == 200 && again.body["path"] == note.body["path"],
        "{}",
        again.text
    );
    let everywhere: i64 = sqlx::query_scalar(
        "select count(*) from knowledge.versions v, knowledge.items i
         where concat(v.body, v.attributes, v.message, i.title, i.path, i.words) like '%hunter2%'",
    )
    .fetch_one(&service.root)
    .await?;
    ensure!(everywhere == 0, "the secret is stored");
    Ok(())
}

#[tokio::test]
async fn a_note_is_proposed_by_its_author_and_accepted_by_a_reviewer() -> Result<()> {
    let service = Service::start().await?;
    let note = service.post(AGENT, "/notes", &events()).await?;
    let step = async |who: As, version: i64, decision: &str| {
        let body = json!({"path": note.body["path"], "version": version, "decision": decision, "comment": "looked at"});
        service.post(who, "/notes/review", &body).await
    };
    step(As("acme", "ben", "Developer"), 1, "propose")
        .await?
        .expect_problem(404, "KNOWLEDGE_NOT_FOUND")?;
    step(AGENT, 1, "accept").await?.expect_problem(403, "FORBIDDEN")?;
    step(AGENT, 1, "reject").await?.expect_problem(403, "FORBIDDEN")?;
    step(AGENT, 1, "propose").await?.expect(200)?;
    step(ADMIN, 1, "accept")
        .await?
        .expect_problem(412, "PRECONDITION_FAILED")?;
    let accepted = step(ADMIN, 2, "accept").await?;
    accepted.expect(200)?;
    ensure!(
        accepted.body["status"] == "accepted" && accepted.body["author"] == "bot",
        "{}",
        accepted.text
    );
    step(ADMIN, 3, "withdraw")
        .await?
        .expect_problem(409, "INVALID_TRANSITION")?;
    let ask = json!({"query": "slow query", "include": {"memories": false}});
    let told = service.post(AGENT, "/context/assemble", &ask).await?;
    ensure!(told.body["entries"][0]["source"] == "note", "{}", told.text);
    Ok(())
}

#[tokio::test]
async fn notes_come_of_texts_and_of_items_that_the_caller_may_read() -> Result<()> {
    let service = Service::start().await?;
    let text = "We deploy on Fridays. The rollout failed twice. We added a probe. Never skip the probe.";
    let note = service
        .post(ADMIN, "/notes", &json!({"layer": "org", "text": text}))
        .await?;
    note.expect(201)?;
    ensure!(
        note.body["sections"]["patterns"] == json!(["Never skip the probe."]),
        "{}",
        note.text
    );
    service.note(ADMIN, "a.md", text).await?.expect(201)?;
    let of = json!({"layer": "org", "sourceRefs": ["a.md"], "title": "Fridays"});
    let note = service.post(ADMIN, "/notes", &of).await?;
    note.expect(201)?;
    ensure!(
        note.body["metadata"]["sources"] == json!(["a.md@1"]) && note.body["title"] == "Fridays",
        "{}",
        note.text
    );
    for who in [AGENT, As("globex", "eve", "PlatformAdmin")] {
        service
            .post(who, "/notes", &of)
            .await?
            .expect_problem(404, "KNOWLEDGE_NOT_FOUND")?;
    }
    Ok(())
}

#[tokio::test]
async fn too_little_or_too_much_is_refused() -> Result<()> {
    let service = Service::start().await?;
    for (body, status, code) in [
        (
            json!({"layer": "org", "text": "One sentence."}),
            422,
            "INSUFFICIENT_EVENTS",
        ),
        (
            json!({"layer": "org", "events": [{"description": "one"}]}),
            422,
            "INSUFFICIENT_EVENTS",
        ),
        (json!({"layer": "org"}), 422, "INVALID_BODY"),
        (
            json!({"layer": "org", "text": "A. B.", "events": []}),
            422,
            "INVALID_BODY",
        ),
        (
            json!({"layer": "org", "events": [{"description": " "}, {"description": "b"}]}),
            422,
            "INVALID_BODY",
        ),
        (json!({"layer": "org", "sourceRefs": ["../x"]}), 422, "INVALID_PATH"),
    ] {
        service
            .post(ADMIN, "/notes", &body)
            .await?
            .expect_problem(status, code)?;
    }
    let viewer = As("acme", "vic", "Viewer");
    service
        .post(viewer, "/notes", &events())
        .await?
        .expect_problem(403, "FORBIDDEN")
}

/// Starts an endpoint that speaks OpenAI's chat form and answers with what it is given, and with what it was asked.
async fn model(answer: Value) -> Result<String> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    let reply = move |Json(asked): Json<Value>| async move {
        let mut answer = answer;
        if answer.is_object() {
            answer["context"] = asked["messages"][1]["content"].clone();
        }
        Json(json!({"choices": [{"message": {"content": answer.to_string()}}]}))
    };
    let router = Router::new().route("/v1/chat/completions", post(reply));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

#[tokio::test]
async fn a_model_sees_no_secret_its_answer_is_cleaned_and_it_may_fail() -> Result<()> {
    let said = json!({"problem": "It was slow; mail ann@example.com", "solution": "An index.", "patterns": []});
    for (answer, kind) in [(said, "model"), (json!("no object"), "extractive")] {
        let url = model(answer).await?;
        let options = [
            "--auth-mode",
            "disabled",
            "--notes-model-url",
            &url,
            "--notes-model",
            "any",
        ];
        let service = Service::start_on(Postgres::shared().await?, &options).await?;
        let note = service.post(ADMIN, "/notes", &events()).await?;
        note.expect(201)?;
        ensure!(note.body["generator"]["kind"] == kind, "{}", note.text);
        ensure!(
            !note.text.contains("hunter2") && !note.text.contains("ann@example.com"),
            "{}",
            note.text
        );
        let redactions = if kind == "model" { 2 } else { 1 };
        ensure!(note.body["redactions"] == redactions, "{}", note.text);
    }
    Ok(())
}

#[tokio::test]
async fn the_same_material_gives_each_author_one_note_though_a_model_never_says_the_same_twice() -> Result<()> {
    let asked = Arc::new(AtomicUsize::new(0));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    let count = Arc::clone(&asked);
    let reply = async move || {
        let n = count.fetch_add(1, Ordering::SeqCst);
        let said =
            json!({"problem": format!("It was slow, way {n}."), "solution": "An index.", "patterns": ["Look first"]});
        Json(json!({"choices": [{"message": {"content": said.to_string()}}]}))
    };
    let router = Router::new().route("/v1/chat/completions", post(reply));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let options = [
        "--auth-mode",
        "disabled",
        "--notes-model-url",
        &url,
        "--notes-model",
        "any",
    ];
    let service = Service::start_on(Postgres::shared().await?, &options).await?;
    let first = service.post(AGENT, "/notes", &events()).await?;
    first.expect(201)?;
    let again = service.post(AGENT, "/notes", &events()).await?;
    again.expect(200)?;
    for field in [
        "path",
        "title",
        "sections",
        "generator",
        "qualityScore",
        "sourceCount",
        "redactions",
    ] {
        ensure!(again.body[field] == first.body[field], "{field}: {}", again.text);
    }
    ensure!(
        again.body["unchanged"] == true && asked.load(Ordering::SeqCst) == 1,
        "it was asked again"
    );
    // Another makes one of its own; a draft of somebody else's is in nobody's way.
    let others = service
        .post(As("acme", "ben", "Developer"), "/notes", &events())
        .await?;
    others.expect(201)?;
    ensure!(others.body["path"] != first.body["path"], "{}", others.text);
    // What is asked for otherwise is another note than the one that is there.
    let mut titled = events();
    titled["title"] = json!("Another");
    service
        .post(AGENT, "/notes", &titled)
        .await?
        .expect_problem(409, "KNOWLEDGE_CONFLICT")
}

#[tokio::test]
async fn the_key_of_the_model_comes_from_a_file() -> Result<()> {
    let key = tempfile::NamedTempFile::new()?;
    std::fs::write(key.path(), "k3y\n")?;
    let seen: Arc<Mutex<Option<String>>> = Arc::default();
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    let kept = Arc::clone(&seen);
    let reply = async move |headers: HeaderMap| {
        let given = headers.get("authorization").and_then(|value| value.to_str().ok());
        *kept.lock().expect("no panic") = given.map(str::to_owned);
        Json(json!({}))
    };
    let router = Router::new().route("/v1/chat/completions", post(reply));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let file = key.path().to_string_lossy().into_owned();
    let mut options = vec![
        "--auth-mode",
        "disabled",
        "--notes-model-url",
        &url,
        "--notes-model",
        "any",
    ];
    options.extend(["--notes-model-key-file", &file]);
    let service = Service::start_on(Postgres::shared().await?, &options).await?;
    service.post(AGENT, "/notes", &events()).await?.expect(201)?;
    let given = seen.lock().expect("no panic").take();
    ensure!(given.as_deref() == Some("Bearer k3y"), "{given:?}");
    options.pop();
    options.push("/no/such/file");
    let failed = Service::start_on(Postgres::shared().await?, &options).await;
    let why = failed.err().map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(why.contains("NOTES_MODEL_KEY_FILE"), "{why}");
    Ok(())
}

#[tokio::test]
async fn a_review_never_brings_an_older_text_back() -> Result<()> {
    let service = Service::start().await?;
    let note = service.post(AGENT, "/notes", &events()).await?;
    let path = note.body["path"].as_str().unwrap_or_default().to_owned();
    let mut held = service.root.begin().await?;
    sqlx::query("select from knowledge.heads for update")
        .execute(&mut *held)
        .await?;
    let waiting = async |many: i64| {
        wait_until("they wait for their turn", async || {
            let query = "select count(*) from pg_stat_activity
                where datname = current_database() and wait_event_type = 'Lock'";
            let found: i64 = sqlx::query_scalar(query).fetch_one(&service.root).await?;
            Ok(found == many)
        })
        .await
    };
    let newer = json!({"content": "A newer text.", "kind": "note", "layer": "team"});
    let change = service.put(AGENT, &path, &newer);
    // It has read version 1 when version 2 is written, and says version 2.
    let body = json!({"path": path, "version": 2, "decision": "propose"});
    let review = async {
        waiting(1).await?;
        service.post(AGENT, "/notes/review", &body).await
    };
    let release = async {
        waiting(2).await?;
        Ok(held.rollback().await?)
    };
    let (changed, reviewed, ()) = tokio::try_join!(change, review, release)?;
    changed.expect(200)?;
    reviewed.expect(200)?;
    let now = service.get(AGENT, &format!("/knowledge/{path}")).await?;
    ensure!(
        now.body["content"] == "A newer text.\n" && now.body["status"] == "proposed",
        "{}",
        now.text
    );
    Ok(())
}
