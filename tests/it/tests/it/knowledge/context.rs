//! Contexts: what is told, to whom, within which budget.

use std::io::Write as _;

use aeterna_testkit::{Postgres, Redis};
use anyhow::{Context as _, Result, ensure};
use jsonwebtoken::{EncodingKey, Header, encode};
use knowledge_service::tokens;
use reqwest::Method;
use serde_json::{Value, json};

use super::service::{ADMIN, As, Service};
use crate::api::service::{Answer, Service as MemoryService, send};
use crate::ground::Ground;

const SECRET: &[u8; 32] = b"a secret of thirty-two bytes, ok";

async fn fill(service: &Service) -> Result<()> {
    let policy = "# Payments\n## Scope\nAll services.\n## Rules\nNever retry a payment.\n";
    for (path, kind, severity, status, content) in [
        ("p.md", "policy", "block", "accepted", policy.to_owned()),
        (
            "a.md",
            "note",
            "info",
            "accepted",
            format!("Retry with jitter. {}", "Zebras wait longer. ".repeat(50)),
        ),
        ("b.md", "note", "info", "accepted", "The canteen has soup.".to_owned()),
        ("d.md", "note", "info", "draft", "Retry is my secret draft.".to_owned()),
    ] {
        let body = json!({"path": path, "kind": kind, "layer": "team", "severity": severity, "status": status, "content": content});
        service.post(ADMIN, "/knowledge", &body).await?.expect(201)?;
    }
    Ok(())
}

async fn assemble(service: &Service, who: As, body: Value) -> Result<Answer> {
    let answer = service.post(who, "/context/assemble", &body).await?;
    answer.expect(200)?;
    let content = answer.body["content"].as_str().context("no content")?;
    let total = tokens::count(content);
    ensure!(answer.body["totalTokens"] == total, "{total}: {}", answer.text);
    ensure!(
        u64::try_from(total).ok() <= answer.body["tokenBudget"].as_u64(),
        "{}",
        answer.text
    );
    Ok(answer)
}

fn refs(answer: &Answer) -> Vec<&str> {
    let entries = answer.body["entries"].as_array().into_iter().flatten();
    entries.filter_map(|entry| entry["ref"].as_str()).collect()
}

#[tokio::test]
async fn policies_come_first_the_budget_holds_and_depth_goes_before_places() -> Result<()> {
    let service = Service::start().await?;
    fill(&service).await?;
    let include = json!({"memories": false});
    let roomy = assemble(&service, ADMIN, json!({"query": "how to retry", "include": include})).await?;
    ensure!(
        refs(&roomy) == ["knowledge:p.md@1", "knowledge:a.md@1"],
        "{}",
        roomy.text
    );
    ensure!(
        roomy.body["partial"] == false && roomy.body["entries"][1]["depth"] == "full",
        "{}",
        roomy.text
    );
    let tight = assemble(
        &service,
        ADMIN,
        json!({"query": "how to retry", "include": include, "tokenBudget": 160}),
    )
    .await?;
    ensure!(refs(&tight) == refs(&roomy), "{}", tight.text);
    ensure!(tight.body["entries"][1]["depth"] == "sentence", "{}", tight.text);
    let again = assemble(
        &service,
        ADMIN,
        json!({"query": "how to retry", "include": include, "tokenBudget": 160}),
    )
    .await?;
    ensure!(again.body["content"] == tight.body["content"] && again.body["contextId"] == tight.body["contextId"]);
    let pinned = json!({"query": "how to retry", "include": include, "pinned": ["b.md", "nowhere.md"]});
    let pinned = assemble(&service, ADMIN, pinned).await?;
    ensure!(
        refs(&pinned) == ["knowledge:p.md@1", "knowledge:b.md@1", "knowledge:a.md@1"],
        "{}",
        pinned.text
    );
    let without = json!({"query": "how to retry", "include": {"memories": false, "policies": false, "notes": false}});
    ensure!(refs(&assemble(&service, ADMIN, without).await?).is_empty());
    Ok(())
}

#[tokio::test]
async fn anothers_draft_is_never_told_even_when_it_is_pinned() -> Result<()> {
    let service = Service::start().await?;
    fill(&service).await?;
    let ask = json!({"query": "secret retry", "pinned": ["d.md"], "include": {"memories": false}});
    let mine = assemble(&service, ADMIN, ask.clone()).await?;
    ensure!(refs(&mine).contains(&"knowledge:d.md@1"), "{}", mine.text);
    let theirs = assemble(&service, As("acme", "ben", "Developer"), ask).await?;
    // It is as absent as what nobody has written.
    ensure!(
        !refs(&theirs).contains(&"knowledge:d.md@1") && !theirs.text.contains("secret draft"),
        "{}",
        theirs.text
    );
    let dropped = theirs.body["dropped"].as_array();
    ensure!(
        dropped.is_some_and(|all| all.contains(&json!({"ref": "knowledge:d.md", "reason": "absent"}))),
        "{}",
        theirs.text
    );
    Ok(())
}

#[tokio::test]
async fn memories_are_asked_for_with_the_callers_own_token() -> Result<()> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(SECRET)?;
    let path = file.path().to_string_lossy().into_owned();
    let auth = ["--auth-mode", "jwt", "--auth-jwt-secret-file", &path];
    let memory = MemoryService::start_on(Ground::new().await?, &auth).await?;
    let mut options = auth.to_vec();
    options.extend(["--memory-service-url", &memory.url]);
    let service = Service::start_on(Postgres::shared().await?, &options).await?;
    let token = |tenant: &str| {
        let claims = json!({"sub": "ann", "tenant": tenant, "roles": ["Developer"], "exp": 4_000_000_000_u64});
        encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET))
    };
    let (mine, theirs) = (token("acme")?, token("globex")?);
    let stored = memory.request(Method::POST, "/api/v1/memories").bearer_auth(&mine);
    let stored = stored.json(&json!({"content": "retry the zebra export at night", "layer": "user"}));
    send(stored).await?.expect(201)?;
    let ask = async |token: &str| {
        let request = reqwest::Client::new()
            .post(format!("{}/api/v1/context/assemble", service.url))
            .bearer_auth(token);
        send(request.json(&json!({"query": "zebra export", "timeoutMs": 5000}))).await
    };
    let told = ask(&mine).await?;
    told.expect(200)?;
    ensure!(
        told.body["partial"] == false && told.text.contains("zebra export at night"),
        "{}",
        told.text
    );
    ensure!(told.body["entries"][0]["source"] == "memory", "{}", told.text);
    let foreign = ask(&theirs).await?;
    ensure!(
        foreign.body["partial"] == false && refs(&foreign).is_empty(),
        "{}",
        foreign.text
    );
    Ok(())
}

#[tokio::test]
async fn without_the_memory_service_the_rest_is_told_and_called_partial() -> Result<()> {
    // A port that takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", silent.local_addr()?);
    let options = ["--auth-mode", "disabled", "--memory-service-url", &url];
    let service = Service::start_on(Postgres::shared().await?, &options).await?;
    fill(&service).await?;
    let started = std::time::Instant::now();
    let told = assemble(&service, ADMIN, json!({"query": "how to retry", "timeoutMs": 100})).await?;
    ensure!(told.body["partial"] == true && refs(&told).len() == 2, "{}", told.text);
    ensure!(
        started.elapsed() < std::time::Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    Ok(())
}

#[tokio::test]
async fn a_cached_context_is_the_callers_and_of_these_versions() -> Result<()> {
    let redis = Redis::start().await?;
    let url = redis.url();
    let options = ["--auth-mode", "disabled", "--redis-url", &url];
    let service = Service::start_on(Postgres::shared().await?, &options).await?;
    fill(&service).await?;
    let ask = json!({"query": "how to retry", "include": {"memories": false}});
    let first = assemble(&service, ADMIN, ask.clone()).await?;
    let second = assemble(&service, ADMIN, ask.clone()).await?;
    ensure!(
        first.body["cacheHit"] == false && second.body["cacheHit"] == true,
        "{}",
        second.text
    );
    ensure!(first.body["content"] == second.body["content"]);
    let other = assemble(&service, As("acme", "ben", "TenantAdmin"), ask.clone()).await?;
    ensure!(other.body["cacheHit"] == false, "{}", other.text);
    let change = json!({"content": "Retry never.", "kind": "note", "layer": "team"});
    service.put(ADMIN, "a.md", &change).await?.expect(200)?;
    let changed = assemble(&service, ADMIN, ask).await?;
    ensure!(
        changed.body["cacheHit"] == false && changed.text.contains("Retry never."),
        "{}",
        changed.text
    );
    Ok(())
}

#[tokio::test]
async fn a_question_that_does_not_fit_is_refused_by_its_field() -> Result<()> {
    let service = Service::start().await?;
    for (body, code) in [
        (json!({"query": " "}), "INVALID_BODY"),
        (json!({"query": "x", "tokenBudget": 99}), "INVALID_BODY"),
        (json!({"query": "x", "timeoutMs": 1}), "INVALID_BODY"),
        (json!({"query": "x", "minRelevance": 2}), "INVALID_BODY"),
        (json!({"query": "x", "mmrLambda": -1}), "INVALID_BODY"),
        (json!({"query": "x", "format": "json"}), "INVALID_BODY"),
        (json!({"query": "x", "pinned": ["../x"]}), "INVALID_PATH"),
    ] {
        service
            .post(ADMIN, "/context/assemble", &body)
            .await?
            .expect_problem(422, code)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_context_waits_for_its_place() -> Result<()> {
    let service = Service::start().await?;
    service.note(ADMIN, "a.md", "zebra").await?.expect(201)?;
    let places = &service.state.contexts;
    let taken = places.acquire_many(u32::try_from(places.available_permits())?).await?;
    let body = json!({"query": "zebra", "include": {"memories": false}});
    let ask = service.post(ADMIN, "/context/assemble", &body);
    let in_vain = tokio::time::timeout(std::time::Duration::from_secs(1), ask).await;
    ensure!(in_vain.is_err(), "it did not wait");
    drop(taken);
    let told = service.post(ADMIN, "/context/assemble", &body).await?;
    told.expect(200)
}
