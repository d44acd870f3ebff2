//! Versions of policies: changing, going back, comparing, listing.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::bodies::{cedar, constraint};
use super::service::{Service, of_acme};
use crate::api::service::{Answer, send};

async fn make(service: &Service, body: &Value) -> Result<String> {
    let made = service
        .post(of_acme("ann", "Architect"), "/api/v1/policies", body)
        .await?;
    made.expect(201)?;
    Ok(made.body["id"].as_str().context("no id")?.to_owned())
}

async fn put(service: &Service, id: &str, etag: Option<&str>, body: &Value) -> Result<Answer> {
    let mut request = service
        .request(
            Method::PUT,
            &format!("/api/v1/policies/{id}"),
            of_acme("ann", "Architect"),
        )
        .json(body);
    if let Some(etag) = etag {
        request = request.header("If-Match", etag);
    }
    send(request).await
}

#[tokio::test]
async fn versions_are_added_compared_and_gone_back_to() -> Result<()> {
    let service = Service::start().await?;
    let (ann, path) = (of_acme("ann", "Architect"), "/api/v1/policies");
    let first = "permit (principal, action == Action::\"memory.read\", resource);";
    let id = make(&service, &cedar("readers", first)).await?;
    let read = service.get(ann, &format!("{path}/{id}")).await?;
    ensure!(
        read.headers["etag"] == "\"1\"" && read.body["cedar"] == first,
        "{}",
        read.text
    );

    let second = "permit (principal, action == Action::\"memory.search\", resource);";
    let changed = put(&service, &id, Some("\"1\""), &cedar("readers", second)).await?;
    changed.expect(200)?;
    ensure!(
        changed.body["version"] == 2 && changed.headers["etag"] == "\"2\"",
        "{}",
        changed.text
    );
    let old = service.get(ann, &format!("{path}/{id}?version=1")).await?;
    ensure!(old.body["cedar"] == first && old.body["versions"].as_array().is_some_and(|all| all.len() == 2));

    let diff = service
        .post(ann, &format!("{path}/{id}/diff"), &json!({"from": 1}))
        .await?;
    ensure!(
        diff.body["cedar"] == json!([format!("-{first}"), format!("+{second}")]),
        "{}",
        diff.text
    );

    let roll = |etag: Option<&'static str>, version: i32| {
        let mut request = service.request(Method::POST, &format!("{path}/{id}/rollback"), ann);
        if let Some(etag) = etag {
            request = request.header("If-Match", etag);
        }
        send(request.json(&json!({"version": version})))
    };
    roll(None, 1).await?.expect_problem(428, "PRECONDITION_REQUIRED")?;
    roll(Some("\"1\""), 1)
        .await?
        .expect_problem(412, "PRECONDITION_FAILED")?;
    roll(Some("2"), 1).await?.expect_problem(400, "INVALID_HEADER")?;
    let back = roll(Some("\"2\""), 1).await?;
    back.expect(200)?;
    ensure!(
        back.body["version"] == 3 && back.body["contentHash"] == old.body["contentHash"],
        "{}",
        back.text
    );
    let told = service.events("targetType=Policy").await?;
    let actions: Vec<&str> = told.iter().filter_map(|event| event["action"].as_str()).collect();
    ensure!(
        actions == ["policy.rollback", "policy.update", "policy.create"],
        "{actions:?}"
    );
    roll(Some("\"3\""), 9).await?.expect_problem(404, "POLICY_NOT_FOUND")?;
    service
        .post(ann, &format!("{path}/{id}/diff"), &json!({"from": 9}))
        .await?
        .expect_problem(404, "POLICY_NOT_FOUND")?;
    service
        .get(ann, &format!("{path}/{id}?version=9"))
        .await?
        .expect_problem(404, "POLICY_NOT_FOUND")
}

#[tokio::test]
async fn a_change_names_the_version_that_it_changes() -> Result<()> {
    let service = Service::start().await?;
    let body = constraint("crypto");
    let id = make(&service, &body).await?;
    put(&service, &id, None, &body)
        .await?
        .expect_problem(428, "PRECONDITION_REQUIRED")?;
    put(&service, &id, Some("7"), &body)
        .await?
        .expect_problem(400, "INVALID_HEADER")?;
    put(&service, &id, Some("\"7\""), &body)
        .await?
        .expect_problem(412, "PRECONDITION_FAILED")?;
    put(&service, &id, Some("\"1\""), &constraint("other"))
        .await?
        .expect_problem(422, "INVALID_BODY")?;
    let absent = uuid::Uuid::now_v7().to_string();
    put(&service, &absent, Some("\"1\""), &body)
        .await?
        .expect_problem(404, "POLICY_NOT_FOUND")?;
    // Two who change the same version: one of them hears of the other.
    let (one, two) = tokio::join!(
        put(&service, &id, Some("\"1\""), &body),
        put(&service, &id, Some("\"1\""), &body)
    );
    let mut statuses = [one?.status, two?.status];
    statuses.sort_unstable();
    ensure!(statuses == [200, 412], "{statuses:?}");
    Ok(())
}

#[tokio::test]
async fn a_dry_run_is_checked_and_stores_nothing() -> Result<()> {
    let service = Service::start().await?;
    let ann = of_acme("ann", "Architect");
    let mut body = constraint("crypto");
    body["dryRun"] = json!(true);
    service.post(ann, "/api/v1/policies", &body).await?.expect(200)?;
    let id = make(&service, &constraint("crypto")).await?;
    service
        .post(ann, "/api/v1/policies", &body)
        .await?
        .expect_problem(409, "POLICY_EXISTS")?;
    put(&service, &id, Some("\"1\""), &body).await?.expect(200)?;
    let read = service.get(ann, &format!("/api/v1/policies/{id}")).await?;
    ensure!(read.body["version"] == 1, "{}", read.text);
    Ok(())
}

#[tokio::test]
async fn a_tech_lead_makes_drafts_and_an_architect_makes_them_count() -> Result<()> {
    let service = Service::start().await?;
    let lead = of_acme("bob", "TechLead");
    service
        .post(lead, "/api/v1/policies", &constraint("crypto"))
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    let mut draft = constraint("crypto");
    draft["status"] = json!("draft");
    service.post(lead, "/api/v1/policies", &draft).await?.expect(201)?;
    let body = json!({"context": {"dependencies": ["openssl"]}});
    let found = service.post(lead, "/api/v1/policies/validate", &body).await?;
    ensure!(found.body["isValid"] == true, "a draft does not count: {}", found.text);
    Ok(())
}

#[tokio::test]
async fn policies_are_listed_by_name_in_pages_that_do_not_overlap() -> Result<()> {
    let service = Service::start().await?;
    for n in 0..7 {
        make(&service, &constraint(&format!("p{n}"))).await?;
    }
    let (mut seen, mut path) = (Vec::new(), "/api/v1/policies?limit=3&status=active".to_owned());
    loop {
        let page = service.get(of_acme("dev", "Viewer"), &path).await?;
        page.expect(200)?;
        let names = page.body["items"].as_array().into_iter().flatten();
        seen.extend(names.filter_map(|item| item["name"].as_str().map(str::to_owned)));
        let Some(next) = page.body["nextCursor"].as_str() else {
            break;
        };
        path = format!("/api/v1/policies?limit=3&status=active&cursor={next}");
    }
    ensure!(seen == (0..7).map(|n| format!("p{n}")).collect::<Vec<_>>(), "{seen:?}");
    for query in ["limit=0", "limit=101", "type=magic", "cursor=zzz"] {
        let code = if query.starts_with("cursor") {
            "INVALID_CURSOR"
        } else {
            "INVALID_PARAMETER"
        };
        service
            .get(of_acme("dev", "Viewer"), &format!("/api/v1/policies?{query}"))
            .await?
            .expect_problem(400, code)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_tenant_has_a_thousand_active_policies_and_no_more() -> Result<()> {
    let service = Service::start().await?;
    sqlx::query(
        "insert into governance.policies (tenant_id, id, name, kind, layer, place, version, status, created_by)
         select 'acme', gen_random_uuid(), 'p' || n, 'constraint', 'company', '{}', 1, 'active', 'ann'
         from generate_series(1, 999) n",
    )
    .execute(&service.root)
    .await?;
    let ann = of_acme("ann", "Architect");
    let last = make(&service, &constraint("the last")).await?;
    let one_more = service.post(ann, "/api/v1/policies", &constraint("one more")).await?;
    one_more.expect_problem(422, "INVALID_BODY")?;
    ensure!(one_more.body["errors"][0]["pointer"] == "/status", "{}", one_more.text);
    // Drafts are as many as one likes; making one count is refused.
    let mut draft = constraint("draft");
    draft["status"] = json!("draft");
    let id = make(&service, &draft).await?;
    put(&service, &id, Some("\"1\""), &constraint("draft"))
        .await?
        .expect_problem(422, "INVALID_BODY")?;
    // Changing one that counts adds none.
    put(&service, &last, Some("\"1\""), &constraint("the last"))
        .await?
        .expect(200)
}
