//! The audit log: how it is read, and by whom.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;

use super::audit_verify::fill;
use super::service::{Service, Who, of_acme};
use crate::api::service::send;

#[tokio::test]
async fn what_agents_did_for_somebody_is_found() -> Result<()> {
    let service = Service::start().await?;
    for human in ["ann", "bob"] {
        let bot = service.request(Method::GET, "/api/v1/policies", of_acme("bot", ""));
        send(bot.header("X-On-Behalf-Of", human))
            .await?
            .expect_problem(403, "FORBIDDEN")?;
    }
    let told = service.events("onBehalfOf=ann").await?;
    ensure!(told.len() == 1 && told[0]["actor"]["id"] == "bot", "{told:?}");
    Ok(())
}

#[tokio::test]
async fn the_app_role_can_only_add_and_even_a_superuser_does_not_change_it_by_mistake() -> Result<()> {
    let service = Service::start().await?;
    fill(&service, 2).await?;
    for statement in [
        "update governance.audit_events set canonical = '{}'",
        "delete from governance.audit_events",
        "truncate governance.audit_events",
        "delete from governance.audit_heads",
        "truncate governance.audit_heads",
        "update governance.audit_heads set seq = 1",
    ] {
        for enter in [
            "set local role aeterna_app; set local app.tenant_id = 'acme'",
            "reset role",
        ] {
            let mut tx = service.root.begin().await?;
            sqlx::raw_sql(enter).execute(&mut *tx).await?;
            let refused = sqlx::query(statement).execute(&mut *tx).await;
            let code = refused
                .err()
                .and_then(|error| Some(error.as_database_error()?.code()?.into_owned()));
            ensure!(code.as_deref() == Some("42501"), "{enter}: {statement}: {code:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn reading_is_an_event_and_pages_do_not_overlap() -> Result<()> {
    let service = Service::start().await?;
    fill(&service, 25).await?;
    let ann = of_acme("ann", "TechLead");
    let mut seen = Vec::new();
    let mut path = "/api/v1/audit?action=test.happened&limit=10".to_owned();
    loop {
        let page = service.get(ann, &path).await?;
        page.expect(200)?;
        seen.extend(
            page.body["items"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|item| item["seq"].as_i64()),
        );
        let Some(next) = page.body["nextCursor"].as_str() else {
            break;
        };
        path = format!("/api/v1/audit?action=test.happened&limit=10&cursor={next}");
    }
    ensure!(seen == (1..=25).rev().collect::<Vec<_>>(), "{seen:?}");
    let read = service.events("action=audit.read&actor=ann").await?;
    ensure!(
        read.len() == 3 && read[0]["details"]["action"] == "test.happened",
        "{read:?}"
    );
    ensure!(service.verify("acme").await?["valid"] == true);
    Ok(())
}

#[tokio::test]
async fn the_log_is_exported_as_lines_and_as_a_table() -> Result<()> {
    let service = Service::start().await?;
    fill(&service, 3).await?;
    let lead = of_acme("ann", "TechLead");
    let lines = service
        .get(lead, "/api/v1/audit?format=ndjson&action=test.happened&limit=2")
        .await?;
    ensure!(
        lines.headers["content-type"] == "application/x-ndjson" && lines.text.lines().count() == 2,
        "{}",
        lines.text
    );
    ensure!(lines.headers.contains_key("x-next-cursor"));
    let table = service
        .get(lead, "/api/v1/audit?format=csv&action=test.happened")
        .await?;
    ensure!(
        table.text.starts_with("seq,at,") && table.text.lines().count() == 4,
        "{}",
        table.text
    );
    Ok(())
}

#[tokio::test]
async fn who_may_not_read_is_refused_and_that_is_told() -> Result<()> {
    let service = Service::start().await?;
    let refused = service.get(of_acme("bob", "Developer"), "/api/v1/audit").await?;
    refused.expect_problem(403, "FORBIDDEN")?;
    let told = service.events("actor=bob&outcome=deny").await?;
    ensure!(told.len() == 1 && told[0]["action"] == "audit.read", "{told:?}");
    let decision = told[0]["decisionId"].as_str().context("no decision")?;
    ensure!(refused.text.contains(decision), "{}", refused.text);
    Ok(())
}

#[tokio::test]
async fn a_parameter_that_does_not_fit_is_refused() -> Result<()> {
    let service = Service::start().await?;
    fill(&service, 3).await?;
    let lead = of_acme("ann", "TechLead");
    let page = service.get(lead, "/api/v1/audit?limit=1").await?;
    let cursor = page.body["nextCursor"].as_str().context("a next page")?;
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "format=xml",
        "outcome=maybe",
        "via=pigeon",
        "actor=",
        "actor=%00",
        "since=yesterday",
        "colour=red",
        "cursor=abc",
        &format!("cursor={cursor}&action=other"),
        &format!("cursor=A{cursor}"),
    ] {
        let code = if query.starts_with("cursor") {
            "INVALID_CURSOR"
        } else {
            "INVALID_PARAMETER"
        };
        service
            .get(lead, &format!("/api/v1/audit?{query}"))
            .await?
            .expect_problem(400, code)
            .map_err(|error| error.context(query.to_owned()))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_tenant_reads_nothing_of_another() -> Result<()> {
    let service = Service::start().await?;
    fill(&service, 3).await?;
    let stranger = Who {
        tenant: "globex",
        subject: "eve",
        roles: "PlatformAdmin",
    };
    let page = service.get(stranger, "/api/v1/audit").await?;
    page.expect(200)?;
    ensure!(
        page.body["items"] == serde_json::json!([]) && page.body["chain"]["headSeq"] == 0,
        "{}",
        page.text
    );
    Ok(())
}
