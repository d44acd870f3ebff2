//! `POST /api/v1/memories`.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::service::{Service, send};
use crate::ground::Ground;

#[tokio::test]
async fn the_seeds_k6_request_is_stored_as_it_stands() -> Result<()> {
    let service = Service::start().await?;
    let body = r#"{"content":"Load test memory","layer":"user"}"#;
    let request = service
        .request(Method::POST, "/api/v1/memories")
        .header("Content-Type", "application/json");
    let answer = send(request.body(body)).await?;
    answer.expect(201)?;
    ensure!(
        answer.body["tenantId"] == "default" && answer.body["indexState"] == "indexed",
        "{}",
        answer.text
    );
    Ok(())
}

#[tokio::test]
async fn every_field_comes_back_as_it_was_sent() -> Result<()> {
    let service = Service::start().await?;
    let sent = json!({
        "content": "Ann prefers tea — 茶", "layer": "project", "identifiers": {"projectId": "p1", "agentId": "a"},
        "metadata": {"source": {"page": 3}}, "tags": ["drink", "ünïcode"], "importance": 0.5, "expiresAt": "2999-01-01T00:00:00Z",
    });
    let stored = service.create("acme", &sent).await?;
    stored.expect(201)?;
    let read = service.get("acme", stored.id()?).await?;
    read.expect(200)?;
    for (field, value) in sent.as_object().into_iter().flatten() {
        ensure!(
            read.body[field] == *value,
            "{field}: {} instead of {value}",
            read.body[field]
        );
        ensure!(stored.body[field] == *value, "{field} of the first answer");
    }
    ensure!(
        read.body["tenantId"] == "acme" && read.body["version"] == 1,
        "{}",
        read.text
    );
    ensure!(stored.headers["location"] == format!("/api/v1/memories/{}", stored.id()?).as_str());
    ensure!(stored.headers["etag"] == read.headers["etag"]);
    Ok(())
}

#[tokio::test]
async fn a_memory_of_a_user_without_a_name_is_the_callers() -> Result<()> {
    let service = Service::start().await?;
    let stored = service
        .create("acme", &json!({"content": "mine", "layer": "user"}))
        .await?;
    ensure!(
        stored.body["identifiers"] == json!({"userId": "anonymous"}),
        "{}",
        stored.text
    );
    Ok(())
}

#[tokio::test]
async fn the_same_id_with_the_same_content_is_stored_once_and_with_other_content_refused() -> Result<()> {
    let service = Service::start().await?;
    let id = Uuid::now_v7();
    let body = json!({"id": id, "content": "once", "layer": "team"});
    service.create("acme", &body).await?.expect(201)?;
    let again = service.create("acme", &body).await?;
    again.expect(200)?;
    ensure!(
        again.body["deduplicated"] == true && again.id()? == id,
        "{}",
        again.text
    );
    for other in [
        json!({"id": id, "content": "twice", "layer": "team"}),
        json!({"id": id, "content": "once", "layer": "org"}),
    ] {
        service
            .create("acme", &other)
            .await?
            .expect_problem(409, "MEMORY_CONFLICT")?;
    }
    service.delete("acme", id).await?.expect(204)?;
    // What was deleted may be said again.
    service.create("acme", &body).await?.expect(201)?;
    ensure!(service.count_rows().await? == 1);
    Ok(())
}

#[tokio::test]
async fn a_retry_with_the_same_idempotency_key_stores_nothing_twice() -> Result<()> {
    let service = Service::start().await?;
    let post = |tenant: &str, key: &str, body: Value| {
        let request = service
            .request(Method::POST, "/api/v1/memories")
            .header("X-Tenant-ID", tenant);
        send(request.header("Idempotency-Key", key).json(&body))
    };
    let body = json!({"content": "a retry", "layer": "team"});
    let first = post("acme", "k", body.clone()).await?;
    first.expect(201)?;
    let again = post("acme", "k", body.clone()).await?;
    again.expect(200)?;
    ensure!(first.id()? == again.id()?);
    post("acme", "k", json!({"content": "another", "layer": "team"}))
        .await?
        .expect_problem(409, "MEMORY_CONFLICT")?;
    post("globex", "k", body.clone()).await?.expect(201)?;
    post("acme", &"k".repeat(257), body)
        .await?
        .expect_problem(400, "INVALID_HEADER")?;
    let both = json!({"id": Uuid::now_v7(), "content": "both", "layer": "team"});
    post("acme", "k", both).await?.expect_problem(400, "INVALID_HEADER")?;
    ensure!(service.count_rows().await? == 2);
    // The retry of a request is no wish to have back what was deleted since.
    service.delete("acme", first.id()?).await?.expect(204)?;
    post("acme", "k", json!({"content": "a retry", "layer": "team"}))
        .await?
        .expect_problem(410, "MEMORY_DELETED")
}

#[tokio::test]
async fn a_new_tenant_that_no_shard_has_room_for_is_told_so() -> Result<()> {
    let service = Service::start().await?;
    service
        .create("acme", &json!({"content": "the last place", "layer": "team"}))
        .await?
        .expect(201)?;
    sqlx::query("update routing.shards set capacity = 1")
        .execute(&service.ground.root)
        .await?;
    let late = service
        .create("globex", &json!({"content": "too late", "layer": "team"}))
        .await?;
    late.expect_problem(507, "NO_SHARD_HAS_ROOM")?;
    ensure!(service.count_rows().await? == 1);
    Ok(())
}

#[tokio::test]
async fn an_equal_memory_is_returned_instead_of_stored_when_asked_for() -> Result<()> {
    let service = Service::start().await?;
    let body = json!({"content": "twin", "layer": "team", "dedupe": "exact"});
    let first = service.create("acme", &body).await?;
    first.expect(201)?;
    let twin = service.create("acme", &body).await?;
    twin.expect(200)?;
    ensure!(twin.id()? == first.id()? && twin.body["deduplicated"] == true);
    service.create("globex", &body).await?.expect(201)?;
    service
        .create("acme", &json!({"content": "twin", "layer": "org", "dedupe": "exact"}))
        .await?
        .expect(201)
}

#[tokio::test]
async fn a_field_that_does_not_fit_is_named_and_nothing_is_stored() -> Result<()> {
    let service = Service::start().await?;
    let with = |field: &str, value: Value| {
        let mut body = json!({"content": "fine", "layer": "team"});
        body[field] = value;
        body
    };
    let many: Vec<String> = (0..65).map(|n| n.to_string()).collect();
    let refused = [
        (with("content", json!("")), "INVALID_CONTENT", "/content"),
        (with("content", json!(" \n\t")), "INVALID_CONTENT", "/content"),
        (
            with("content", json!("x".repeat(32 * 1024 + 1))),
            "INVALID_CONTENT",
            "/content",
        ),
        (with("content", json!("a\0b")), "INVALID_CONTENT", "/content"),
        (with("content", json!(7)), "INVALID_BODY", "/content"),
        (with("layer", json!("galaxy")), "INVALID_LAYER", "/layer"),
        (with("tags", json!(many)), "INVALID_BODY", "/tags"),
        (with("tags", json!([""])), "INVALID_BODY", "/tags"),
        (with("tags", json!(["x".repeat(129)])), "INVALID_BODY", "/tags"),
        (with("tags", json!("one")), "INVALID_BODY", "/tags"),
        (
            with("metadata", json!({"x": "y".repeat(16 * 1024)})),
            "INVALID_BODY",
            "/metadata",
        ),
        (with("metadata", json!({"x": "\0"})), "INVALID_BODY", "/metadata"),
        (with("metadata", json!([1])), "INVALID_BODY", "/metadata"),
        (with("importance", json!(1.5)), "INVALID_BODY", "/importance"),
        (
            with("expiresAt", json!("2001-01-01T00:00:00Z")),
            "INVALID_BODY",
            "/expiresAt",
        ),
        (with("expiresAt", json!("soon")), "INVALID_BODY", "/expiresAt"),
        (
            with("identifiers", json!({"shoeSize": "44"})),
            "INVALID_BODY",
            "/identifiers/shoeSize",
        ),
        (
            with("identifiers", json!({"userId": ""})),
            "INVALID_BODY",
            "/identifiers/userId",
        ),
        (with("id", json!("1")), "INVALID_BODY", "/id"),
        (with("dedupe", json!("fuzzy")), "INVALID_BODY", "/dedupe"),
        (with("colour", json!("red")), "INVALID_BODY", ""),
    ];
    for (body, code, pointer) in refused {
        let answer = service.create("acme", &body).await?;
        answer.expect_problem(422, code)?;
        let named = answer.body["errors"][0]["pointer"].as_str().unwrap_or_default();
        ensure!(
            pointer.is_empty() || named == pointer,
            "{named} instead of {pointer}: {}",
            answer.text
        );
    }
    ensure!(service.count_rows().await? == 0);
    Ok(())
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_and_nothing_is_stored() -> Result<()> {
    let service = Service::start().await?;
    let post = |kind: &'static str, body: Vec<u8>| {
        let request = service
            .request(Method::POST, "/api/v1/memories")
            .header("X-Tenant-ID", "acme");
        send(request.header("Content-Type", kind).body(body))
    };
    let json = "application/json";
    let fine = br#"{"content": "fine", "layer": "team"}"#;
    post(json, Vec::new()).await?.expect_problem(400, "MALFORMED_JSON")?;
    post(json, b"{".to_vec()).await?.expect_problem(400, "MALFORMED_JSON")?;
    post(json, [fine.as_slice(), b"x"].concat())
        .await?
        .expect_problem(400, "MALFORMED_JSON")?;
    post(json, b"{\"content\": \"\xff\", \"layer\": \"team\"}".to_vec())
        .await?
        .expect_problem(400, "INVALID_UTF8")?;
    post("text/plain", fine.to_vec())
        .await?
        .expect_problem(415, "UNSUPPORTED_MEDIA_TYPE")?;
    let large = format!(r#"{{"content": "{}", "layer": "team"}}"#, "x".repeat(10 << 20));
    post(json, large.into_bytes())
        .await?
        .expect_problem(413, "PAYLOAD_TOO_LARGE")?;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    ensure!(post(json, deep.into_bytes()).await?.status < 500);
    ensure!(service.count_rows().await? == 0);
    Ok(())
}

#[tokio::test]
async fn a_model_that_does_not_answer_stores_nothing() -> Result<()> {
    let service = Service::start().await?;
    service.model.go_away();
    let answer = service
        .create("acme", &json!({"content": "lost?", "layer": "team"}))
        .await?;
    answer.expect_problem(502, "EMBEDDING_FAILED")?;
    ensure!(
        !answer.text.contains("out of order"),
        "the answer shows what only the log should have"
    );
    ensure!(service.count_rows().await? == 0);
    Ok(())
}

#[tokio::test]
async fn where_tenants_are_declared_an_unknown_one_is_refused() -> Result<()> {
    let options = ["--auth-mode", "disabled", "--onboarding", "declared"];
    let service = Service::start_on(Ground::new().await?, &options).await?;
    let body = json!({"content": "who?", "layer": "team"});
    service
        .create("stranger", &body)
        .await?
        .expect_problem(403, "TENANT_NOT_DECLARED")?;
    service
        .search("stranger", &json!({"query": "who?"}))
        .await?
        .expect_problem(403, "TENANT_NOT_DECLARED")?;
    service.ground.tenant("acme").await?;
    service.create("acme", &body).await?.expect(201)
}

#[tokio::test]
async fn a_tenant_at_its_cutover_is_told_to_come_back() -> Result<()> {
    let service = Service::start().await?;
    let id = service.store("acme", "before").await?;
    let mut fence = service.ground.root.begin().await?;
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('acme', 0))")
        .execute(&mut *fence)
        .await?;
    let body = json!({"content": "meanwhile", "layer": "team"});
    let (write, read) = tokio::join!(service.create("acme", &body), service.get("acme", id));
    write?.expect_problem(503, "TENANT_MOVING")?;
    read?.expect(200)?;
    service.store("globex", "others are not concerned").await?;
    fence.rollback().await?;
    service.create("acme", &body).await?.expect(201)
}

#[tokio::test]
async fn attack_04_two_tenants_may_send_the_same_id() -> Result<()> {
    let service = Service::start().await?;
    let id = Uuid::now_v7();
    for tenant in ["acme", "globex"] {
        let body = json!({"id": id, "content": format!("of {tenant}"), "layer": "team"});
        service.create(tenant, &body).await?.expect(201)?;
    }
    service.delete("acme", id).await?.expect(204)?;
    let kept = service.get("globex", id).await?;
    kept.expect(200)?;
    ensure!(kept.body["content"] == "of globex", "{}", kept.text);
    let hits = service.search("globex", &json!({"query": "of globex"})).await?;
    ensure!(super::service::found(&hits) == [id], "{}", hits.text);
    Ok(())
}
