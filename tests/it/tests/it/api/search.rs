//! `POST /api/v1/memories/search`.

use aeterna_tenancy::moves::Step;
use aeterna_vectorstore::Op;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tonic::Code;
use uuid::Uuid;

use super::service::{Service, found};
use crate::ground::embed;

/// Stores some memories and returns their ids.
async fn fill(service: &Service) -> Result<Vec<Uuid>> {
    let memories = [
        json!({"content": "the red fox jumps", "layer": "team", "tags": ["animal", "red"]}),
        json!({"content": "the blue whale swims", "layer": "team", "tags": ["animal"]}),
        json!({"content": "red wine with fish", "layer": "user", "identifiers": {"userId": "ann"}}),
        json!({"content": "red wine with cheese", "layer": "user", "identifiers": {"userId": "bob"}}),
    ];
    let mut ids = Vec::new();
    for memory in memories {
        let stored = service.create("acme", &memory).await?;
        stored.expect(201)?;
        ids.push(stored.id()?);
    }
    Ok(ids)
}

async fn hits(service: &Service, body: Value) -> Result<Vec<Uuid>> {
    let answer = service.search("acme", &body).await?;
    answer.expect(200)?;
    ensure!(answer.body["degraded"] == json!([]), "{}", answer.text);
    Ok(found(&answer))
}

#[tokio::test]
async fn a_point_without_a_row_is_never_shown_and_gets_its_marker() -> Result<()> {
    let service = Service::start().await?;
    let ids = fill(&service).await?;
    sqlx::query("delete from memory.memories where id = $1")
        .bind(ids[0])
        .execute(&service.ground.root)
        .await?;
    let near = json!({"query": "the red fox jumps", "mode": "semantic", "limit": 10});
    let shown = hits(&service, near.clone()).await?;
    ensure!(shown.len() == 3 && !shown.contains(&ids[0]), "{shown:?}");
    let tenant = service.ground.tenant("acme").await?;
    service
        .ground
        .wait_until("the orphan has its marker", async || {
            hits(&service, near.clone()).await?;
            Ok(service.ground.search(&tenant, "the red fox jumps").await?.len() == 3)
        })
        .await?;
    service.ground.assert_exact(&tenant).await
}

#[tokio::test]
async fn a_memory_is_found_by_meaning_by_words_and_by_both() -> Result<()> {
    let service = Service::start().await?;
    let ids = fill(&service).await?;
    let semantic = hits(
        &service,
        json!({"query": "the blue whale swims", "mode": "semantic", "limit": 1}),
    )
    .await?;
    ensure!(semantic == [ids[1]]);
    let vector = hits(
        &service,
        json!({"vector": embed("the red fox jumps"), "mode": "semantic", "limit": 1}),
    )
    .await?;
    ensure!(vector == [ids[0]]);
    let keyword = hits(&service, json!({"query": "wine red", "mode": "keyword"})).await?;
    ensure!(
        keyword.len() == 2 && keyword.contains(&ids[2]) && keyword.contains(&ids[3]),
        "{keyword:?}"
    );
    let both = hits(&service, json!({"query": "the red fox jumps"})).await?;
    ensure!(both.first() == Some(&ids[0]) && both.len() == 4, "{both:?}");
    Ok(())
}

#[tokio::test]
async fn filters_hold_whatever_the_score_is() -> Result<()> {
    let service = Service::start().await?;
    let ids = fill(&service).await?;
    let cases = [
        (json!({"layers": ["user"]}), vec![ids[2], ids[3]]),
        (
            json!({"layers": ["user", "team"], "tags": ["animal"]}),
            vec![ids[0], ids[1]],
        ),
        (json!({"tags": ["animal", "red"]}), vec![ids[0]]),
        (json!({"identifiers": {"userId": "bob"}}), vec![ids[3]]),
        (json!({"tags": ["nothing"]}), vec![]),
        (json!({"limit": 2}), vec![]),
    ];
    for mode in ["semantic", "hybrid"] {
        for (filter, expected) in &cases {
            let mut body = json!({"query": "red", "mode": mode});
            for (name, value) in filter.as_object().into_iter().flatten() {
                body[name] = value.clone();
            }
            let mut seen = hits(&service, body).await?;
            seen.sort();
            if filter.get("limit").is_some() {
                ensure!(seen.len() == 2, "{mode} {filter}: {seen:?}");
            } else {
                ensure!(seen == *expected, "{mode} {filter}: {seen:?}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_identifier_is_found_among_many_nearer_ones() -> Result<()> {
    let service = Service::start().await?;
    let rare = json!({"content": "needle", "layer": "user", "identifiers": {"userId": "rare"}});
    let rare = service.create("acme", &rare).await?.id()?;
    let tenant = service.ground.tenant("acme").await?;
    service.ground.fill(&tenant, 600).await?;
    let seen = hits(
        &service,
        json!({"query": "memory 7 of acme", "mode": "semantic", "identifiers": {"userId": "rare"}, "limit": 1}),
    )
    .await?;
    ensure!(seen == [rare], "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn scores_can_be_explained() -> Result<()> {
    let service = Service::start().await?;
    let ids = fill(&service).await?;
    let answer = service
        .search("acme", &json!({"query": "the red fox jumps", "explain": true}))
        .await?;
    let first = &answer.body["items"][0];
    ensure!(first["memory"]["id"] == json!(ids[0]), "{}", answer.text);
    ensure!(
        first["explain"]["vectorRank"] == 1 && first["explain"]["keywordRank"] == 1,
        "{first}"
    );
    ensure!(first["explain"]["vector"].as_f64() > Some(0.99), "{first}");
    ensure!(
        answer.body["searchedLayers"]
            .as_array()
            .is_some_and(|all| all.len() == 7),
        "{}",
        answer.text
    );
    let near = json!({"query": "the red fox jumps", "mode": "semantic", "threshold": 0.99});
    ensure!(hits(&service, near).await? == [ids[0]]);
    Ok(())
}

#[tokio::test]
async fn a_question_that_does_not_fit_is_refused() -> Result<()> {
    let service = Service::start().await?;
    fill(&service).await?;
    let refused = [
        (json!({}), "INVALID_BODY", "/query"),
        (json!({"query": " "}), "INVALID_BODY", "/query"),
        (json!({"query": "x".repeat(8193)}), "INVALID_BODY", "/query"),
        (json!({"query": "a\0"}), "INVALID_BODY", "/query"),
        (json!({"query": "x", "vector": [1.0]}), "INVALID_BODY", "/query"),
        (json!({"vector": [1.0], "mode": "semantic"}), "INVALID_BODY", "/vector"),
        (json!({"vector": vec![1.0; 16]}), "INVALID_BODY", "/mode"),
        (json!({"query": "x", "limit": 0}), "INVALID_BODY", "/limit"),
        (json!({"query": "x", "limit": 101}), "INVALID_BODY", "/limit"),
        (json!({"query": "x", "threshold": 2}), "INVALID_BODY", "/threshold"),
        (
            json!({"query": "x", "layers": ["user", "galaxy"]}),
            "INVALID_LAYER",
            "/layers/1",
        ),
        (json!({"query": "x", "tags": ["\0"]}), "INVALID_BODY", "/tags"),
        (json!({"query": "x", "mode": "telepathic"}), "INVALID_BODY", "/mode"),
    ];
    for (body, code, pointer) in refused {
        let answer = service.search("acme", &body).await?;
        answer.expect_problem(422, code)?;
        ensure!(
            answer.body["errors"][0]["pointer"] == pointer,
            "{pointer}: {}",
            answer.text
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_tenant_sees_its_own_memories_only() -> Result<()> {
    let service = Service::start().await?;
    let mine = service.store("acme", "the same words").await?;
    let theirs = service.store("globex", "the same words").await?;
    for mode in ["semantic", "keyword", "hybrid"] {
        let body = json!({"query": "the same words", "mode": mode});
        ensure!(found(&service.search("acme", &body).await?) == [mine], "{mode}");
        ensure!(found(&service.search("globex", &body).await?) == [theirs], "{mode}");
        ensure!(found(&service.search("stranger", &body).await?).is_empty(), "{mode}");
    }
    Ok(())
}

#[tokio::test]
async fn a_deleted_memory_is_not_found_while_its_point_is_still_there() -> Result<()> {
    let service = Service::start().await?;
    let id = service.store("acme", "still in the index").await?;
    service.store("acme", "another").await?;
    // Every request of the store that would take the point away is refused.
    service.ground.faults().fail(Op::Delete, Code::Unavailable);
    service.ground.faults().fail(Op::Upsert, Code::Unavailable);
    service.delete("acme", id).await?.expect(204)?;
    for mode in ["semantic", "keyword", "hybrid"] {
        let answer = service
            .search("acme", &json!({"query": "still in the index", "mode": mode}))
            .await?;
        answer.expect(200)?;
        ensure!(!found(&answer).contains(&id), "{mode}: {}", answer.text);
    }
    service.ground.faults().clear();
    Ok(())
}

#[tokio::test]
async fn attack_12_a_stale_route_and_a_cleaned_source_still_give_every_hit() -> Result<()> {
    let service = Service::start().await?;
    let ids = fill(&service).await?;
    let query = json!({"query": "red wine with fish", "mode": "semantic"});
    ensure!(hits(&service, query.clone()).await?.len() == ids.len());
    // The service has seen the route; now the tenant goes, and its source is cleaned.
    let tenant = service.ground.tenant("acme").await?;
    let away = service.ground.dedicated(&tenant).await?;
    let id = service.ground.begin(&tenant, &away, jiff::SignedDuration::ZERO).await?;
    service
        .ground
        .drive_until(&service.ground.context, &tenant, id, Step::Clean)
        .await?;
    service.ground.run_cleanups().await?;
    service
        .ground
        .drive_until(&service.ground.context, &tenant, id, Step::Done)
        .await?;
    let after = hits(&service, query).await?;
    ensure!(after.len() == ids.len() && after.first() == Some(&ids[2]), "{after:?}");
    Ok(())
}

#[tokio::test]
async fn attack_12_a_filter_that_a_stale_payload_meets_and_the_truth_does_not_hides_the_hit() -> Result<()> {
    let service = Service::start().await?;
    let ids = fill(&service).await?;
    // The truth has changed, and its point does not know yet.
    sqlx::query("update memory.memories set tags = '{}', layer = 'org' where id = $1")
        .bind(ids[0])
        .execute(&service.ground.root)
        .await?;
    for filter in [json!({"tags": ["red"]}), json!({"layers": ["team"]})] {
        let mut body = json!({"query": "the red fox jumps", "mode": "semantic"});
        for (name, value) in filter.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let seen = hits(&service, body).await?;
        ensure!(!seen.contains(&ids[0]), "{filter}: {seen:?}");
    }
    Ok(())
}
