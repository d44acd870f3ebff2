//! What the tenant's policies keep from a caller, no route shows it; roles that were given or taken away count here as well.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;

use super::service::{ADMIN, As, Service, wait_until};
use crate::api::service::{Answer, send};
use crate::governance::service::of_acme;
use crate::guard::world::World;

const TAR: &str = "application/x-tar";
const SECRET: &str = r#"forbid (principal, action, resource is Knowledge)
    when { resource has path && resource.path like "secret/*" };"#;

fn archive(path: &str, front: &str) -> Result<Vec<u8>> {
    let content = format!("---\nkind: note\nlayer: team\n{front}---\nthe zebra plan\n");
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(u64::try_from(content.len())?);
    builder.append_data(&mut header, path, content.as_bytes())?;
    Ok(builder.into_inner()?)
}

async fn import(service: &Service, who: As, archive: Vec<u8>) -> Result<Answer> {
    let request = service.request(who, Method::POST, "/knowledge/import");
    send(request.header("Content-Type", TAR).body(archive)).await
}

/// A service with an item that may be seen and one that may not: the policy came after it.
async fn fill(world: &World) -> Result<Service> {
    let service = world.knowledge().await?;
    for (path, text) in [
        (
            "open/plan.md",
            "The zebra plan is open. See [[secret/plan.md]]. Nobody knows.",
        ),
        ("secret/plan.md", "The zebra plan is hidden. Nobody shall know of it."),
    ] {
        let body = json!({"path": path, "content": text, "kind": "note", "layer": "team", "status": "accepted"});
        service.post(ADMIN, "/knowledge", &body).await?.expect(201)?;
    }
    world.governance.enforce("acme", "no-secrets", SECRET).await?;
    wait_until("the policy counts", async || {
        Ok(service.get(ADMIN, "/knowledge/secret/plan.md").await?.status == 403)
    })
    .await?;
    Ok(service)
}

#[tokio::test]
async fn what_policies_forbid_at_a_path_no_list_search_context_or_note_shows() -> Result<()> {
    let world = World::start(300).await?;
    let service = fill(&world).await?;
    for path in ["/knowledge/secret/", "/knowledge/secret/plan.md?view=history"] {
        service.get(ADMIN, path).await?.expect_problem(403, "FORBIDDEN")?;
    }
    for path in ["/knowledge/", "/knowledge"] {
        let root = service.get(ADMIN, path).await?;
        root.expect(200)?;
        ensure!(
            root.text.contains("open/") && !root.text.contains("secret"),
            "{}",
            root.text
        );
        let export = service.request(ADMIN, Method::GET, path).header("Accept", TAR);
        let archive = export.send().await?.error_for_status()?.bytes().await?;
        let archive = String::from_utf8_lossy(&archive).into_owned();
        ensure!(
            archive.contains("is open") && !archive.contains("is hidden"),
            "{archive}"
        );
    }
    let folder = service.request(ADMIN, Method::GET, "/knowledge/secret/");
    ensure!(folder.header("Accept", TAR).send().await?.status() == 403);
    let search = json!({"query": "zebra", "facets": true});
    let found = service.post(ADMIN, "/knowledge/search", &search).await?;
    ensure!(found.body["items"][0]["path"] == "open/plan.md", "{}", found.text);
    ensure!(!found.text.contains("hidden"), "{}", found.text);
    ensure!(
        found.body["total"] == 1 && found.body["facets"]["kind"] == json!({"note": 1}),
        "a number tells of it: {}",
        found.text
    );
    let ask = json!({"query": "zebra plan", "pinned": ["secret/plan.md"], "include": {"memories": false}});
    let told = service.post(ADMIN, "/context/assemble", &ask).await?;
    told.expect(200)?;
    ensure!(
        told.text.contains("is open") && !told.text.contains("is hidden"),
        "{}",
        told.text
    );
    ensure!(
        told.body["dropped"] == json!([{"ref": "knowledge:secret/plan.md", "reason": "absent"}]),
        "{}",
        told.text
    );
    let related = service.get(ADMIN, "/knowledge/open/plan.md?view=relations").await?;
    ensure!(related.body["relations"] == json!([]), "{}", related.text);
    let note = json!({"layer": "team", "sourceRefs": ["secret/plan.md"]});
    service
        .post(ADMIN, "/notes", &note)
        .await?
        .expect_problem(403, "FORBIDDEN")
}

#[tokio::test]
async fn an_archive_is_asked_about_file_by_file() -> Result<()> {
    let world = World::start(300).await?;
    let service = fill(&world).await?;
    import(&service, ADMIN, archive("open/other.md", "")?)
        .await?
        .expect(200)?;
    let refused = import(&service, ADMIN, archive("secret/other.md", "")?).await?;
    refused.expect_problem(403, "FORBIDDEN")?;
    ensure!(
        refused.body["errors"][0]["pointer"] == "secret/other.md",
        "{}",
        refused.text
    );
    // What is accepted takes the right to accept, as it does one by one.
    let lead = As("acme", "tom", "TechLead");
    let refused = import(&service, lead, archive("open/accepted.md", "status: accepted\n")?).await?;
    refused.expect_problem(403, "FORBIDDEN")?;
    let viewer = As("acme", "vic", "Viewer");
    import(&service, viewer, archive("open/v.md", "")?)
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    let kept: i64 = sqlx::query_scalar("select count(*) from knowledge.items")
        .fetch_one(&service.root)
        .await?;
    ensure!(kept == 3, "{kept} items");
    Ok(())
}

#[tokio::test]
async fn the_layer_of_a_note_is_told_to_the_policies() -> Result<()> {
    let world = World::start(300).await?;
    let text = r#"forbid (principal, action == Action::"knowledge.propose", resource)
        when { resource has layer && resource.layer == "company" };"#;
    world.governance.enforce("acme", "no-company", text).await?;
    let service = world.knowledge().await?;
    let note = |layer: &str| json!({"layer": layer, "text": "The rollout failed. We added a probe."});
    service.post(ADMIN, "/notes", &note("team")).await?.expect(201)?;
    service
        .post(ADMIN, "/notes", &note("company"))
        .await?
        .expect_problem(403, "FORBIDDEN")
}

#[tokio::test]
async fn a_role_that_was_given_or_taken_away_counts_in_the_handlers() -> Result<()> {
    let world = World::start(300).await?;
    let root = of_acme("root", "TenantAdmin");
    let grant = json!({"principal": "vic", "role": "Architect"});
    let given = world.governance.post(root, "/api/v1/roles/grant", &grant).await?;
    ensure!(given.status < 300, "{}", given.text);
    for role in ["Architect", "TechLead", "Developer"] {
        let revoke = json!({"principal": "tom", "role": role});
        let taken = world.governance.post(root, "/api/v1/roles/revoke", &revoke).await?;
        ensure!(taken.status < 300, "{}", taken.text);
    }
    let service = world.knowledge().await?;
    let (vic, tom) = (As("acme", "vic", "Viewer"), As("acme", "tom", "Viewer,Architect"));
    let body = json!({"path": "a.md", "content": "text", "kind": "note", "layer": "team", "status": "accepted"});
    service.post(vic, "/knowledge", &body).await?.expect(201)?;
    service.note(ADMIN, "draft.md", "mine").await?.expect(201)?;
    // Who was an Architect sees no drafts of others any more, and who became one does.
    service.get(vic, "/knowledge/draft.md").await?.expect(200)?;
    service
        .get(tom, "/knowledge/draft.md")
        .await?
        .expect_problem(404, "KNOWLEDGE_NOT_FOUND")
}
