//! One path, one life after another: what was somebody's stays theirs.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;

use super::service::{ADMIN, As, Service};
use crate::api::service::send;

const ANN: As = As("acme", "anna", "Developer");
const BEN: As = As("acme", "ben", "Developer");

async fn delete(service: &Service, who: As, path: &str) -> Result<crate::api::service::Answer> {
    let request = service.request(who, Method::DELETE, &format!("/knowledge/{path}"));
    send(request.header("If-Match", "*")).await
}

#[tokio::test]
async fn a_deleted_draft_stays_its_authors_when_another_writes_at_its_path() -> Result<()> {
    let service = Service::start().await?;
    service
        .note(ANN, "notes/plan.md", "the zebra secret")
        .await?
        .expect(201)?;
    delete(&service, ANN, "notes/plan.md").await?.expect(204)?;
    service
        .note(BEN, "notes/plan.md", "a plan of mine")
        .await?
        .expect(201)?;
    for view in ["version=1", "version=2", "view=diff&from=1&to=3", "view=diff&from=2"] {
        let path = format!("/knowledge/notes/plan.md?{view}");
        let answer = service.get(BEN, &path).await?;
        answer.expect_problem(404, "VERSION_NOT_FOUND")?;
    }
    let history = service.get(BEN, "/knowledge/notes/plan.md?view=history").await?;
    let versions = history.body["versions"].as_array().map(Vec::len);
    ensure!(
        versions == Some(1) && !history.text.contains("anna"),
        "{}",
        history.text
    );
    // Reviewers see both lives, and each has its author.
    let first = service.get(ADMIN, "/knowledge/notes/plan.md?version=1").await?;
    ensure!(first.body["author"] == "anna", "{}", first.text);
    let last = service.get(ADMIN, "/knowledge/notes/plan.md").await?;
    ensure!(last.body["author"] == "ben", "{}", last.text);
    // Ben's draft is not Ann's either; once it is proposed, she reads her own past and not his.
    service
        .get(ANN, "/knowledge/notes/plan.md")
        .await?
        .expect_problem(404, "KNOWLEDGE_NOT_FOUND")?;
    let body = json!({"content": "a plan of mine", "kind": "note", "layer": "team", "status": "proposed"});
    service.put(BEN, "notes/plan.md", &body).await?.expect(200)?;
    service
        .get(ANN, "/knowledge/notes/plan.md?version=1")
        .await?
        .expect(200)?;
    service
        .get(ANN, "/knowledge/notes/plan.md?version=3")
        .await?
        .expect_problem(404, "VERSION_NOT_FOUND")
}

#[tokio::test]
async fn an_export_of_an_earlier_state_tells_no_draft_of_an_earlier_life() -> Result<()> {
    let service = Service::start().await?;
    service.note(ANN, "plan.md", "the zebra secret").await?.expect(201)?;
    let head: i64 = sqlx::query_scalar("select changes from knowledge.heads")
        .fetch_one(&service.root)
        .await?;
    delete(&service, ANN, "plan.md").await?.expect(204)?;
    service.note(BEN, "plan.md", "a plan of mine").await?.expect(201)?;
    // What a page of an export that began before all this would read.
    let scope = aeterna_kit::auth::TenantScope::for_worker(aeterna_kit::ids::TenantId::parse("acme")?);
    let folder = knowledge_service::path::FolderPath::root();
    let page = async |who: &str| {
        let rights = knowledge_service::access::Rights::from_roles(who, &["Developer".to_owned()]);
        knowledge_service::store::export(&service.state.pool, &scope, &rights, &folder, head, "").await
    };
    ensure!(page("anna").await?.len() == 1 && page("ben").await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_was_accepted_is_not_replaced_by_another_life_of_its_path() -> Result<()> {
    let service = Service::start().await?;
    let adr = "# Store\n## Context\nWe need one.\n## Decision\nPostgres.\n## Consequences\nWe run it.\n";
    let body = |status: &str| json!({"content": adr, "kind": "adr", "layer": "company", "status": status});
    service
        .put(ADMIN, "a.md", &body("accepted"))
        .await?
        .expect_problem(404, "KNOWLEDGE_NOT_FOUND")?;
    let mut new = body("accepted");
    new["path"] = json!("a.md");
    service.post(ADMIN, "/knowledge", &new).await?.expect(201)?;
    let refused = delete(&service, ADMIN, "a.md").await?;
    refused.expect_problem(409, "IMMUTABLE_KIND")?;
    let detail = refused.body["detail"].as_str().unwrap_or_default();
    ensure!(
        detail.contains("deprecate") && detail.contains("supersedes"),
        "{detail}"
    );
    service.put(ADMIN, "a.md", &body("deprecated")).await?.expect(200)?;
    delete(&service, ADMIN, "a.md")
        .await?
        .expect_problem(409, "IMMUTABLE_KIND")
}
