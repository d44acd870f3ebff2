//! One tenant never sees what is another's.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::bodies::{cedar, constraint, question};
use super::service::{Service, Who, of_acme};
use crate::api::service::send;

const STRANGER: Who<'static> = Who {
    tenant: "globex",
    subject: "eve",
    roles: "PlatformAdmin",
};

#[tokio::test]
async fn a_stranger_finds_nothing_by_id_list_or_decision() -> Result<()> {
    let service = Service::start().await?;
    let forbids = r#"forbid (principal, action == Action::"memory.read", resource);"#;
    let made = service
        .post(
            of_acme("ann", "Architect"),
            "/api/v1/policies",
            &cedar("secret", forbids),
        )
        .await?;
    let id = made.body["id"].as_str().context("no id")?;
    let path = format!("/api/v1/policies/{id}");
    service
        .get(STRANGER, &path)
        .await?
        .expect_problem(404, "POLICY_NOT_FOUND")?;
    let put = service
        .request(Method::PUT, &path, STRANGER)
        .header("If-Match", "\"1\"");
    send(put.json(&cedar("secret", forbids)))
        .await?
        .expect_problem(404, "POLICY_NOT_FOUND")?;
    for (verb, body) in [("rollback", json!({"version": 1})), ("diff", json!({"from": 1}))] {
        let asked = service
            .request(Method::POST, &format!("{path}/{verb}"), STRANGER)
            .header("If-Match", "\"1\"");
        send(asked.json(&body)).await?.expect_problem(404, "POLICY_NOT_FOUND")?;
    }
    let replaces = json!({"policy": constraint("mine"), "replaces": id});
    service
        .post(STRANGER, "/api/v1/policies/simulate", &replaces)
        .await?
        .expect_problem(404, "POLICY_NOT_FOUND")?;
    let asked = service
        .post(
            STRANGER,
            "/api/v1/policies/evaluate",
            &question(&["Viewer"], "memory.read"),
        )
        .await?;
    ensure!(
        asked.body["decision"] == true,
        "another tenant's policy decided: {}",
        asked.text
    );
    // The name is free in another tenant.
    service
        .post(STRANGER, "/api/v1/policies", &cedar("secret", forbids))
        .await?
        .expect(201)?;
    for list in ["/api/v1/policies", "/api/v1/roles", "/api/v1/audit?limit=1000"] {
        let page = service.get(STRANGER, list).await?;
        page.expect(200)?;
        ensure!(
            !page.text.contains(id) && !page.text.contains("acme") && !page.text.contains("ann"),
            "{}",
            page.text
        );
    }
    Ok(())
}

/// Whatever an endpoint forgets, the database does not.
#[tokio::test]
async fn every_table_forces_row_level_security_and_the_app_role_may_not_empty_it() -> Result<()> {
    let service = Service::start().await?;
    let tables: Vec<(String, bool, bool, bool)> = sqlx::query_as(
        "select c.relname::text, c.relrowsecurity, c.relforcerowsecurity, has_table_privilege('aeterna_app', c.oid, 'truncate')
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'governance' and c.relkind in ('r', 'p') and c.relname <> '_sqlx_migrations'",
    )
    .fetch_all(&service.root)
    .await?;
    ensure!(tables.len() >= 6, "{tables:?}");
    for (table, enabled, forced, truncate) in tables {
        ensure!(enabled && forced && !truncate, "{table}");
    }
    Ok(())
}

/// A view reads with its owner's eyes unless it says otherwise, and for the owner the tables' policies need not hold.
#[tokio::test]
async fn every_view_reads_with_the_eyes_of_who_asks_it() -> Result<()> {
    let service = Service::start().await?;
    // What is materialized holds rows of its own, and has no policies: there must be none.
    let views: Vec<(String, bool)> = sqlx::query_as(
        "select c.relname::text, c.relkind = 'v' and coalesce('security_invoker=true' = any(c.reloptions), false)
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'governance' and c.relkind in ('v', 'm')",
    )
    .fetch_all(&service.root)
    .await?;
    ensure!(!views.is_empty(), "there are none");
    for (view, is_invokers) in views {
        ensure!(is_invokers, "{view}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_remembered_of_one_tenants_people_is_not_there_for_another_that_names_none() -> Result<()> {
    let service = Service::start().await?;
    service
        .get(of_acme("ann", "Architect"), "/api/v1/policies")
        .await?
        .expect(200)?;
    for (tenant, sees) in [("acme", ["acme"].as_slice()), ("globex", &[])] {
        let mut tx = service.root.begin().await?;
        sqlx::query("select set_config('role', 'aeterna_app', true), set_config('app.tenant_id', $1, true)")
            .bind(tenant)
            .execute(&mut *tx)
            .await?;
        let seen: Vec<String> = sqlx::query_scalar("select distinct tenant_id from governance.remembered")
            .fetch_all(&mut *tx)
            .await?;
        ensure!(seen == sees, "{tenant} sees rows of {seen:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_cursor_of_another_tenant_is_refused() -> Result<()> {
    let service = Service::start().await?;
    for name in ["a", "b"] {
        service
            .post(of_acme("ann", "Architect"), "/api/v1/policies", &constraint(name))
            .await?
            .expect(201)?;
    }
    let page: Value = service
        .get(of_acme("ann", "Viewer"), "/api/v1/policies?limit=1")
        .await?
        .body;
    let cursor = page["nextCursor"].as_str().context("a next page")?;
    service
        .get(STRANGER, &format!("/api/v1/policies?limit=1&cursor={cursor}"))
        .await?
        .expect_problem(400, "INVALID_CURSOR")
}
