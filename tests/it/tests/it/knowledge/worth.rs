//! What is worth telling in a context: memories by their own likeness, all policies that must be followed, what is pinned.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use aeterna_testkit::Postgres;
use anyhow::{Result, ensure};
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use reqwest::Method;
use serde_json::{Value, json};

use super::service::{ADMIN, As, Service};
use crate::api::service::{Answer, Service as MemoryService, send};
use crate::ground::Ground;

const POLICY: &str = "# Payments\n## Scope\nAll services.\n## Rules\nNever retry a payment.\n";

fn refs(answer: &Answer) -> Vec<&str> {
    let entries = answer.body["entries"].as_array().into_iter().flatten();
    entries.filter_map(|entry| entry["ref"].as_str()).collect()
}

async fn with_memories(url: &str) -> Result<Service> {
    let options = ["--auth-mode", "disabled", "--memory-service-url", url];
    Service::start_on(Postgres::shared().await?, &options).await
}

#[tokio::test]
async fn a_memory_that_has_nothing_to_do_with_the_question_is_left_out() -> Result<()> {
    let memory = MemoryService::start_on(Ground::new().await?, &["--auth-mode", "disabled"]).await?;
    memory.store("acme", "the canteen has soup on mondays").await?;
    let service = with_memories(&memory.url).await?;
    // The local model finds any two texts a little alike: 0.42 these.
    let ask = json!({"query": "zebra export", "timeoutMs": 5000, "minRelevance": 0.5});
    let alone = service.post(ADMIN, "/context/assemble", &ask).await?;
    alone.expect(200)?;
    ensure!(
        alone.body["partial"] == false && refs(&alone).is_empty(),
        "{}",
        alone.text
    );
    ensure!(alone.body["dropped"][0]["reason"] == "threshold", "{}", alone.text);
    memory.store("acme", "the zebra export runs at night").await?;
    let both = service.post(ADMIN, "/context/assemble", &ask).await?;
    ensure!(
        refs(&both).len() == 1 && both.text.contains("runs at night"),
        "{}",
        both.text
    );
    ensure!(
        both.body["entryCount"] == 1 && both.body["isWithinBudget"] == true,
        "{}",
        both.text
    );
    Ok(())
}

#[tokio::test]
async fn an_agent_asks_for_memories_as_an_agent() -> Result<()> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let seen: Arc<Mutex<Option<HeaderMap>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let answer = async move |headers: HeaderMap, Json(_): Json<Value>| {
        *kept.lock().expect("no panic") = Some(headers);
        Json(json!({"items": []}))
    };
    let router = Router::new().route("/api/v1/memories/search", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let service = with_memories(&url).await?;
    let request = service.request(As("acme", "bot", "Agent"), Method::POST, "/context/assemble");
    let request = request.header("X-On-Behalf-Of", "ann");
    let told = send(request.json(&json!({"query": "zebra", "timeoutMs": 5000}))).await?;
    ensure!(told.body["partial"] == false, "{}", told.text);
    let seen = seen.lock().expect("no panic").take().unwrap_or_default();
    ensure!(seen.get("x-on-behalf-of").is_some_and(|whom| whom == "ann"), "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn no_policy_that_must_be_followed_goes_without_a_trace_and_wide_layers_go_first() -> Result<()> {
    let service = Service::start().await?;
    let layers = ["project", "team", "org", "company"];
    for n in 0..104 {
        let body = json!({
            "path": format!("p/{n:03}.md"), "kind": "policy", "severity": "block", "status": "accepted", "content": POLICY,
            "layer": layers[n % 4],
        });
        service.post(ADMIN, "/knowledge", &body).await?.expect(201)?;
    }
    let ask = json!({"query": "soup", "tokenBudget": 200_000, "include": {"memories": false}});
    let told = service.post(ADMIN, "/context/assemble", &ask).await?;
    told.expect(200)?;
    ensure!(
        refs(&told).len() == 100 && told.body["entryCount"] == 100,
        "{}",
        refs(&told).len()
    );
    let entries = told.body["entries"].as_array().into_iter().flatten();
    let places: Vec<usize> = entries
        .filter_map(|entry| layers.iter().rev().position(|layer| entry["layer"] == *layer))
        .collect();
    ensure!(places.len() == 100 && places.is_sorted(), "{places:?}");
    let dropped = json!([
        {"ref": "knowledge:p/088.md@1", "reason": "budget"}, {"ref": "knowledge:p/092.md@1", "reason": "budget"},
        {"ref": "knowledge:p/096.md@1", "reason": "budget"}, {"ref": "knowledge:p/100.md@1", "reason": "budget"},
    ]);
    ensure!(told.body["dropped"] == dropped, "{}", told.body["dropped"]);
    ensure!(
        told.body["layersIncluded"] == json!(["company", "org", "project", "team"]),
        "{}",
        told.body["layersIncluded"]
    );
    Ok(())
}

/// More texts than are ordered at once, and more policies than are read: each is told or named, once.
#[tokio::test]
async fn policies_that_are_long_and_many_leave_a_trace_as_well() -> Result<()> {
    let service = Service::start().await?;
    let content = format!("{POLICY}{}", "Never retry a payment. ".repeat(4_000));
    for n in 0..104 {
        let body = json!({
            "path": format!("p/{n:03}.md"), "kind": "policy", "severity": "block", "status": "accepted", "layer": "team",
            "content": content,
        });
        service.post(ADMIN, "/knowledge", &body).await?.expect(201)?;
    }
    // The words lead to some of those that are not read as policies, too.
    let ask = json!({"query": "payment", "tokenBudget": 2_000, "include": {"memories": false}});
    let told = service.post(ADMIN, "/context/assemble", &ask).await?;
    told.expect(200)?;
    let dropped = told.body["dropped"].as_array().into_iter().flatten();
    let mut all = refs(&told);
    ensure!(!all.is_empty());
    all.extend(dropped.filter_map(|one| one["ref"].as_str()));
    all.sort_unstable();
    let expected: Vec<String> = (0..104).map(|n| format!("knowledge:p/{n:03}.md@1")).collect();
    ensure!(all == expected, "{} are told or named: {all:?}", all.len());
    Ok(())
}

#[tokio::test]
async fn a_path_is_the_same_in_either_way_to_write_its_letters() -> Result<()> {
    let service = Service::start().await?;
    let adr = "# Store\n## Context\nWe need one.\n## Decision\nPostgres.\n## Consequences\nWe run it.\n";
    let body = json!({"path": "caf\u{e9}/old.md", "content": adr, "kind": "adr", "layer": "org", "status": "accepted"});
    service.post(ADMIN, "/knowledge", &body).await?.expect(201)?;
    let search = json!({"query": "postgres", "pathPrefix": "cafe\u{301}/"});
    let found = service.post(ADMIN, "/knowledge/search", &search).await?;
    ensure!(found.body["items"][0]["path"] == "caf\u{e9}/old.md", "{}", found.text);
    let pinned = ["cafe\u{301}/old.md", "cafe\u{301}/none.md"];
    let ask = json!({"query": "soup", "pinned": pinned, "include": {"memories": false}});
    let told = service.post(ADMIN, "/context/assemble", &ask).await?;
    ensure!(refs(&told) == ["knowledge:caf\u{e9}/old.md@1"], "{}", told.text);
    ensure!(
        told.body["dropped"] == json!([{"ref": "knowledge:caf\u{e9}/none.md", "reason": "absent"}]),
        "{}",
        told.text
    );
    let mut next = body.clone();
    next["path"] = json!("caf\u{e9}/new.md");
    next["supersedes"] = json!("cafe\u{301}/old.md");
    service.post(ADMIN, "/knowledge", &next).await?.expect(201)?;
    let old = service.get(ADMIN, "/knowledge/caf\u{e9}/old.md").await?;
    ensure!(old.body["supersededBy"] == "caf\u{e9}/new.md", "{}", old.text);
    Ok(())
}
