//! A foreign tenant sees nothing, on every route.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;

use super::service::{ADMIN, As, Service};
use crate::api::service::send;

const FOREIGN: As = As("globex", "eve", "PlatformAdmin");

#[tokio::test]
async fn a_foreign_tenant_sees_and_touches_nothing() -> Result<()> {
    let service = Service::start().await?;
    service
        .note(ADMIN, "secret/plan.md", "the zebra plan")
        .await?
        .expect(201)?;
    for path in [
        "/knowledge/secret/plan.md",
        "/knowledge/secret/plan.md?version=1",
        "/knowledge/secret/plan.md?view=history",
        "/knowledge/secret/plan.md?view=diff&from=1&to=1",
        "/knowledge/secret/plan.md?view=relations",
    ] {
        service
            .get(FOREIGN, path)
            .await?
            .expect_problem(404, "KNOWLEDGE_NOT_FOUND")?;
    }
    for path in ["/knowledge/", "/knowledge/secret/"] {
        let listed = service.get(FOREIGN, path).await?;
        ensure!(listed.body["entries"] == json!([]), "{}", listed.text);
    }
    let export = service
        .request(FOREIGN, Method::GET, "/knowledge/")
        .header("Accept", "application/x-tar");
    let archive = export.send().await?.error_for_status()?.bytes().await?;
    ensure!(archive.iter().all(|byte| *byte == 0), "an archive with something in it");
    let search = json!({"query": "zebra", "status": [], "facets": true});
    let found = service.post(FOREIGN, "/knowledge/search", &search).await?;
    ensure!(
        found.body["items"] == json!([]) && found.body["facets"] == json!({}),
        "{}",
        found.text
    );
    let ask = json!({"query": "zebra plan", "pinned": ["secret/plan.md"], "include": {"memories": false}});
    let told = service.post(FOREIGN, "/context/assemble", &ask).await?;
    ensure!(
        told.body["entries"] == json!([])
            && told.body["dropped"] == json!([{"ref": "knowledge:secret/plan.md", "reason": "absent"}]),
        "{}",
        told.text
    );
    let delete = service
        .request(FOREIGN, Method::DELETE, "/knowledge/secret/plan.md")
        .header("If-Match", "*");
    send(delete).await?.expect_problem(404, "KNOWLEDGE_NOT_FOUND")?;
    let change = service
        .put(
            FOREIGN,
            "secret/plan.md",
            &json!({"content": "x", "kind": "note", "layer": "team"}),
        )
        .await?;
    change.expect_problem(404, "KNOWLEDGE_NOT_FOUND")?;
    // The same path is free to every tenant, and takes the place of nobody's item.
    service.note(FOREIGN, "secret/plan.md", "mine").await?.expect(201)?;
    let mine = service.get(ADMIN, "/knowledge/secret/plan.md").await?;
    ensure!(
        mine.body["content"] == "the zebra plan\n" && mine.body["version"] == 1,
        "{}",
        mine.text
    );
    Ok(())
}
