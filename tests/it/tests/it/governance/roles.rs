//! Granting and revoking roles.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::approvals::expect_told;
use super::service::{Service, of_acme};

fn of(principal: &str, role: &str) -> Value {
    json!({"principal": principal, "role": role})
}

#[tokio::test]
async fn a_granted_role_counts_at_once_and_a_revoked_one_counts_against_the_token() -> Result<()> {
    let service = Service::start().await?;
    let admin = of_acme("root", "Admin");
    let bare = of_acme("bob", "");
    service
        .get(bare, "/api/v1/audit")
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    service
        .post(admin, "/api/v1/roles/grant", &of("bob", "TechLead"))
        .await?
        .expect(200)?;
    service.get(bare, "/api/v1/audit").await?.expect(200)?;
    service
        .post(admin, "/api/v1/roles/revoke", &of("bob", "TechLead"))
        .await?
        .expect(200)?;
    // The token still says it.
    service
        .get(of_acme("bob", "TechLead"), "/api/v1/audit")
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    let told = service.events("targetType=RoleAssignment").await?;
    let actions: Vec<&str> = told.iter().filter_map(|event| event["action"].as_str()).collect();
    ensure!(actions == ["role.revoke", "role.grant"], "{actions:?}");
    Ok(())
}

#[tokio::test]
async fn nobody_grants_or_revokes_more_than_he_has() -> Result<()> {
    let service = Service::start().await?;
    let admin = of_acme("root", "Admin");
    for verb in ["grant", "revoke"] {
        let above = service
            .post(admin, &format!("/api/v1/roles/{verb}"), &of("root", "TenantAdmin"))
            .await?;
        above.expect_problem(403, "FORBIDDEN")?;
        expect_told(&service, admin, &above, &format!("role.{verb}")).await?;
        service
            .post(admin, &format!("/api/v1/roles/{verb}"), &of("", "Viewer"))
            .await?
            .expect_problem(422, "INVALID_BODY")?;
        service
            .post(admin, &format!("/api/v1/roles/{verb}"), &of("ann", "King"))
            .await?
            .expect_problem(422, "INVALID_BODY")?;
    }
    Ok(())
}

#[tokio::test]
async fn roles_of_tokens_are_remembered_and_go_with_them() -> Result<()> {
    let service = Service::start().await?;
    let roles = async |principal: &str| -> Result<Vec<String>> {
        let page = service
            .get(
                of_acme("reader", "Viewer"),
                &format!("/api/v1/roles?principal={principal}"),
            )
            .await?;
        page.expect(200)?;
        let items = page.body["items"].as_array().cloned().unwrap_or_default();
        Ok(items
            .iter()
            .map(|item| format!("{} {}", item["role"], item["source"]).replace('"', ""))
            .collect())
    };
    service
        .get(of_acme("ann", "Viewer,TechLead"), "/api/v1/policies")
        .await?
        .expect(200)?;
    ensure!(roles("ann").await? == ["TechLead token", "Viewer token"]);
    service
        .get(of_acme("ann", "Viewer"), "/api/v1/policies")
        .await?
        .expect(200)?;
    ensure!(roles("ann").await? == ["Viewer token"]);
    let page = service
        .get(of_acme("reader", "Viewer"), "/api/v1/roles?limit=1")
        .await?;
    ensure!(page.body["nextCursor"].is_string(), "{}", page.text);
    service
        .get(of_acme("reader", "Viewer"), "/api/v1/roles?limit=0")
        .await?
        .expect_problem(400, "INVALID_PARAMETER")
}

#[tokio::test]
async fn a_question_without_roles_is_about_the_granted_ones_and_a_revoked_one_never_counts() -> Result<()> {
    let service = Service::start().await?;
    let admin = of_acme("root", "Admin");
    let ask = async |roles: Option<&[&str]>| -> Result<bool> {
        let mut body = super::bodies::question(&[], "memory.delete");
        match roles {
            Some(roles) => body["subject"]["properties"]["roles"] = json!(roles),
            None => body["subject"]["properties"] = json!({}),
        }
        let answer = service
            .post(of_acme("gate", "Viewer"), "/api/v1/policies/evaluate", &body)
            .await?;
        answer.expect(200)?;
        Ok(answer.body["decision"] == true)
    };
    ensure!(!ask(None).await?);
    service
        .post(admin, "/api/v1/roles/grant", &of("ann", "TechLead"))
        .await?
        .expect(200)?;
    ensure!(ask(None).await?);
    service
        .post(admin, "/api/v1/roles/revoke", &of("ann", "TechLead"))
        .await?
        .expect(200)?;
    ensure!(!ask(None).await? && !ask(Some(&["TechLead"])).await?);
    Ok(())
}

#[tokio::test]
async fn a_role_that_no_token_has_shown_for_a_month_does_not_count_and_one_that_was_granted_does() -> Result<()> {
    let service = Service::start().await?;
    let (ann, root) = (of_acme("ann", "Architect"), of_acme("root", "Admin"));
    service.get(ann, "/api/v1/policies").await?.expect(200)?;
    service
        .post(root, "/api/v1/roles/grant", &of("gil", "Architect"))
        .await?
        .expect(200)?;
    let age = async |interval: &str| -> Result<()> {
        let query = "update governance.role_assignments set seen_at = now() - $1::interval";
        sqlx::query(query).bind(interval).execute(&service.root).await?;
        Ok(())
    };
    let held = async |who: &str| -> Result<usize> {
        let list = service.get(root, &format!("/api/v1/roles?principal={who}")).await?;
        list.expect(200)?;
        Ok(list.body["items"].as_array().map_or(0, Vec::len))
    };
    age("31 days").await?;
    ensure!(held("ann").await? == 0 && held("gil").await? == 1);
    // Whoever comes again is remembered again, and is not forgotten while he comes.
    service.get(ann, "/api/v1/policies").await?.expect(200)?;
    ensure!(held("ann").await? == 1);
    age("20 days").await?;
    service.get(ann, "/api/v1/policies").await?.expect(200)?;
    let query = "select seen_at > now() - interval '1 day' from governance.role_assignments where principal = 'ann'";
    let is_fresh: bool = sqlx::query_scalar(query).fetch_one(&service.root).await?;
    ensure!(is_fresh, "a sight was not noted");
    // What is gone from the token is gone, however long ago it was seen.
    age("20 days").await?;
    service
        .get(of_acme("ann", "Viewer"), "/api/v1/policies")
        .await?
        .expect(200)?;
    let list = service.get(root, "/api/v1/roles?principal=ann").await?;
    ensure!(list.body["items"].as_array().map(Vec::len) == Some(1), "{}", list.text);
    ensure!(list.body["items"][0]["role"] == "Viewer", "{}", list.text);
    Ok(())
}
