//! What the tenant's policies keep from a caller, no route shows it; roles that were given or taken away count here as well.

use anyhow::{Context as _, Result, ensure};
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

/// A world whose policy comes after what was stored: to each path its attributes.
async fn forbid(world: &World, service: &Service, text: &str, probe: &str) -> Result<()> {
    world.governance.enforce("acme", "later", text).await?;
    wait_until("the policy counts", async || {
        let body = json!({"content": "probe", "kind": "note", "layer": "company", "status": "accepted"});
        Ok(service.put(ADMIN, probe, &body).await?.status == 403)
    })
    .await
}

async fn delete(service: &Service, who: As, path: &str) -> Result<Answer> {
    let request = service.request(who, Method::DELETE, &format!("/knowledge/{path}"));
    send(request.header("If-Match", "*")).await
}

fn item(path: &str, content: &str, layer: &str, status: &str) -> serde_json::Value {
    json!({"path": path, "content": content, "kind": "note", "layer": layer, "status": status})
}

#[tokio::test]
async fn what_a_request_does_not_say_of_an_item_the_policies_are_told_by_its_row() -> Result<()> {
    let world = World::start(300).await?;
    let service = world.knowledge().await?;
    for (path, layer) in [("company.md", "company"), ("team.md", "team"), ("probe.md", "company")] {
        let body = item(path, "as it was", layer, "accepted");
        service.post(ADMIN, "/knowledge", &body).await?.expect(201)?;
    }
    let text = r#"forbid (principal, action in [Action::"knowledge.propose", Action::"knowledge.edit", Action::"knowledge.accept"],
        resource) when { resource has layer && resource.layer == "company" };"#;
    forbid(&world, &service, text, "probe.md").await?;
    for body in [
        json!({"content": "other", "kind": "note", "layer": "team"}),
        json!({"content": "other", "kind": "note", "layer": "team", "status": "accepted"}),
        json!({"content": "as it was", "kind": "note", "layer": "team", "status": "deprecated"}),
    ] {
        let refused = service.put(ADMIN, "company.md", &body).await?;
        refused.expect_problem(403, "FORBIDDEN")?;
    }
    delete(&service, ADMIN, "company.md")
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    let team = archive("company.md", "status: accepted\n")?;
    let request = service.request(ADMIN, Method::POST, "/knowledge/import?existing=replace");
    let refused = send(request.header("Content-Type", TAR).body(team)).await?;
    refused.expect_problem(403, "FORBIDDEN")?;
    ensure!(refused.body["errors"][0]["pointer"] == "company.md", "{}", refused.text);
    let kept = service.get(ADMIN, "/knowledge/company.md").await?;
    ensure!(
        kept.body["version"] == 1 && kept.body["content"] == "as it was\n",
        "{}",
        kept.text
    );
    let other = json!({"content": "other", "kind": "note", "layer": "team"});
    service.put(ADMIN, "team.md", &other).await?.expect(200)?;
    delete(&service, ADMIN, "team.md").await?.expect(204)
}

#[tokio::test]
async fn a_status_that_is_kept_is_asked_for_as_one_that_is_said() -> Result<()> {
    let world = World::start(300).await?;
    let service = world.knowledge().await?;
    for path in ["a.md", "probe.md"] {
        let body = item(path, "as it was", "team", "accepted");
        service.post(ADMIN, "/knowledge", &body).await?.expect(201)?;
    }
    let text = r#"forbid (principal, action == Action::"knowledge.accept", resource);"#;
    forbid(&world, &service, text, "probe.md").await?;
    let silent = json!({"content": "other", "kind": "note", "layer": "team"});
    service
        .put(ADMIN, "a.md", &silent)
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    service
        .post(ADMIN, "/knowledge", &item("draft.md", "new", "team", "draft"))
        .await?
        .expect(201)
}

#[tokio::test]
async fn nothing_takes_the_place_of_what_a_policy_protects() -> Result<()> {
    let world = World::start(300).await?;
    let service = fill(&world).await?;
    for predecessor in ["secret/plan.md", "secret/nothing.md"] {
        let mut next = item("open/next.md", "instead", "team", "accepted");
        next["supersedes"] = json!(predecessor);
        let refused = service.post(ADMIN, "/knowledge", &next).await?;
        refused.expect_problem(403, "FORBIDDEN")?;
    }
    let status: String = sqlx::query_scalar("select status from knowledge.items where path = 'secret/plan.md'")
        .fetch_one(&service.root)
        .await?;
    ensure!(status == "accepted", "{status}");
    Ok(())
}

#[tokio::test]
async fn ones_own_draft_is_deleted_with_the_right_to_propose_and_anothers_with_the_right_to_edit() -> Result<()> {
    let world = World::start(300).await?;
    let service = world.knowledge().await?;
    let (dev, other, lead) = (
        As("acme", "dev", "Developer"),
        As("acme", "other", "Developer"),
        As("acme", "tom", "TechLead"),
    );
    for (path, status) in [("a.md", "draft"), ("b.md", "proposed"), ("c.md", "proposed")] {
        let body = item(path, "mine", "team", status);
        service.post(dev, "/knowledge", &body).await?.expect(201)?;
    }
    delete(&service, other, "b.md")
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    delete(&service, As("acme", "vic", "Viewer"), "b.md")
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    delete(&service, dev, "a.md").await?.expect(204)?;
    delete(&service, dev, "b.md").await?.expect(204)?;
    delete(&service, lead, "c.md").await?.expect(204)
}

#[tokio::test]
async fn the_path_of_a_successor_is_not_told_where_it_is_forbidden() -> Result<()> {
    let world = World::start(300).await?;
    let service = fill(&world).await?;
    let old = item("open/old.md", "old", "team", "accepted");
    service.post(ADMIN, "/knowledge", &old).await?.expect(201)?;
    sqlx::raw_sql(
        "update knowledge.items set supersedes = 'open/old.md' where path = 'secret/plan.md';
         update knowledge.items set superseded_by = 'secret/plan.md' where path = 'open/old.md'",
    )
    .execute(&service.root)
    .await?;
    let told = service.get(ADMIN, "/knowledge/open/old.md").await?;
    told.expect(200)?;
    ensure!(told.body["supersededBy"].is_null(), "{}", told.text);
    // Nor where what is there already is sent once more.
    let tag = told.headers["etag"].to_str()?;
    let same = service
        .request(ADMIN, Method::PUT, "/knowledge/open/old.md")
        .header("If-Match", tag);
    let same = send(same.json(&old)).await?;
    same.expect(200)?;
    ensure!(
        same.body["unchanged"] == true && !same.text.contains("secret"),
        "{}",
        same.text
    );
    Ok(())
}

#[tokio::test]
async fn who_may_not_read_at_a_path_is_not_told_by_a_deletion_what_is_there() -> Result<()> {
    let world = World::start(300).await?;
    let text = r#"forbid (principal, action in [Action::"knowledge.read", Action::"knowledge.edit"], resource is Knowledge)
        when { resource has path && resource.path like "secret/*" };"#;
    world.governance.enforce("acme", "no-secrets", text).await?;
    let service = world.knowledge().await?;
    let plan = item("secret/plan.md", "text", "team", "proposed");
    service.post(ADMIN, "/knowledge", &plan).await?.expect(201)?;
    for path in ["secret/plan.md", "secret/nothing.md"] {
        let request = service.request(
            As("acme", "dev", "Developer"),
            Method::DELETE,
            &format!("/knowledge/{path}"),
        );
        send(request).await?.expect_problem(403, "FORBIDDEN")?;
    }
    Ok(())
}

/// What a policy hides by what it is, under a path that is open: a cursor, a number, a refusal could tell of it.
#[tokio::test]
async fn no_cursor_no_refusal_and_no_history_tells_of_what_is_hidden() -> Result<()> {
    let world = World::start(300).await?;
    let service = world.knowledge().await?;
    for (path, layer) in [
        ("f/a.md", "team"),
        ("f/b.md", "company"),
        ("f/c.md", "company"),
        ("f/d.md", "team"),
        ("f/e.md", "company"),
        ("way/under.md", "company"),
        ("h.md", "company"),
    ] {
        let body = item(path, &format!("the zebra of {path}"), layer, "accepted");
        service.post(ADMIN, "/knowledge", &body).await?.expect(201)?;
    }
    let body = item("h.md", "said anew", "team", "accepted");
    let request = service.request(ADMIN, Method::PUT, "/knowledge/h.md");
    send(request.header("If-Match", "*").json(&body)).await?.expect(200)?;
    let text = r#"forbid (principal, action in [Action::"knowledge.read", Action::"knowledge.search"], resource is Knowledge)
        when { resource has layer && resource.layer == "company" };"#;
    world.governance.enforce("acme", "no-company", text).await?;
    wait_until("the policy counts", async || {
        Ok(service.get(ADMIN, "/knowledge/f/b.md").await?.status == 403)
    })
    .await?;

    let listed = pages(async |cursor| {
        let path = format!(
            "/knowledge/f/?limit=1{}",
            cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default()
        );
        let page = service.get(ADMIN, &path).await?;
        Ok((page.body["entries"][0]["path"].clone(), page.body["nextCursor"].clone()))
    });
    ensure!(listed.await? == ["f/a.md", "f/d.md"]);
    let found = pages(async |cursor| {
        let search = json!({"query": "zebra", "limit": 1, "pathPrefix": "f/", "cursor": cursor});
        let page = service.post(ADMIN, "/knowledge/search", &search).await?;
        Ok((page.body["items"][0]["path"].clone(), page.body["nextCursor"].clone()))
    });
    let mut found = found.await?;
    found.sort();
    ensure!(found == ["f/a.md", "f/d.md"], "{found:?}");

    let in_its_way = service
        .post(ADMIN, "/knowledge", &item("way", "x", "team", "draft"))
        .await?;
    in_its_way.expect_problem(409, "PATH_COLLISION")?;
    ensure!(!in_its_way.text.contains("under"), "{}", in_its_way.text);
    for tag in ["", "*", "\"1\"", "\"9\""] {
        let mut request = service.request(ADMIN, Method::PUT, "/knowledge/f/b.md");
        if !tag.is_empty() {
            request = request.header("If-Match", tag);
        }
        let told = send(request.json(&item("f/b.md", "the zebra of f/b.md", "company", "accepted"))).await?;
        told.expect_problem(409, "PATH_COLLISION")?;
    }
    let history = service.get(ADMIN, "/knowledge/h.md?view=history").await?;
    let versions = history.body["versions"].as_array().map_or(0, Vec::len);
    ensure!(
        versions == 1 && history.body["versions"][0]["version"] == 2,
        "{}",
        history.text
    );
    Ok(())
}

/// Follows cursors; each page has one entry.
async fn pages(
    page: impl AsyncFn(Option<String>) -> Result<(serde_json::Value, serde_json::Value)>,
) -> Result<Vec<String>> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let (path, next) = page(cursor).await?;
        all.push(path.as_str().context("a page without an entry")?.to_owned());
        ensure!(all.len() < 10, "{all:?}");
        match next.as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(all),
        }
    }
}
