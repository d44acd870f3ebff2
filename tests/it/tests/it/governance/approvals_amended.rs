//! Payloads that change and change back, risks that are too low, and roles that go while a vote waits.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::approvals::{ANN, BOB, CID, DEV, ask, asked, expect_told, id_of, vote, with_architects};
use super::service::{Service, of_acme};
use crate::api::service::{Answer, send};
use crate::ground::PATIENCE;

async fn amend(service: &Service, request: &Value, payload: &Value) -> Result<Answer> {
    let path = format!("/api/v1/approval/{}", id_of(request)?);
    let body = json!({"payload": payload});
    send(service.request(Method::PUT, &path, DEV).json(&body)).await
}

#[tokio::test]
async fn a_payload_that_comes_back_brings_no_votes_back() -> Result<()> {
    let service = with_architects().await?;
    let request = ask(&service, &asked("high")).await?;
    vote(&service, ANN, &request, "approve").await?.expect(200)?;
    amend(&service, &request, &json!({"source": "wiki"}))
        .await?
        .expect(200)?;
    let back = amend(&service, &request, &request["payload"]).await?;
    ensure!(
        back.body["payloadHash"] == request["payloadHash"]
            && back.body["revision"] == 3
            && back.body["currentApprovals"] == 0,
        "{}",
        back.text
    );
    let second = vote(&service, BOB, &request, "approve").await?;
    ensure!(second.body["request"]["status"] == "pending", "{}", second.text);
    // Who has voted on it before votes again.
    let third = vote(&service, ANN, &request, "approve").await?;
    ensure!(third.body["request"]["status"] == "approved", "{}", third.text);
    Ok(())
}

#[tokio::test]
async fn a_vote_on_an_amended_request_says_which_payload_was_looked_at() -> Result<()> {
    let service = with_architects().await?;
    let request = ask(&service, &asked("low")).await?;
    amend(&service, &request, &json!({"source": "wiki"}))
        .await?
        .expect(200)?;
    let blind = json!({"requestId": request["id"], "decision": "approve"});
    service
        .post(ANN, "/api/v1/approval/decide", &blind)
        .await?
        .expect_problem(422, "INVALID_BODY")
}

#[tokio::test]
async fn what_a_whole_tenant_hangs_on_is_not_asked_for_as_a_trifle() -> Result<()> {
    let service = with_architects().await?;
    let root = of_acme("root", "TenantAdmin");
    service.get(root, "/api/v1/policies").await?.expect(200)?;
    for (kind, payload) in [
        ("config", json!({})),
        ("tenant_migration", json!({})),
        ("role", json!({"principal": "new", "role": "Admin"})),
    ] {
        let mut body = asked("medium");
        body["requestType"] = json!(kind);
        body["payload"] = payload;
        let refused = service.post(DEV, "/api/v1/approval/request", &body).await?;
        refused.expect_problem(422, "INVALID_BODY")?;
        ensure!(refused.body["errors"][0]["pointer"] == "/riskLevel", "{}", refused.text);
    }
    let mut body = asked("medium");
    body["requestType"] = json!("role");
    body["payload"] = json!({"principal": "new", "role": "Viewer"});
    let granting = ask(&service, &body).await?;
    let raised = amend(&service, &granting, &json!({"principal": "new", "role": "Admin"})).await?;
    raised.expect_problem(422, "INVALID_BODY")?;
    ensure!(raised.text.contains("high risk"), "{}", raised.text);
    // What does not fit the type is refused as well.
    for payload in [
        json!({"principal": "new"}),
        json!({"principal": "new", "role": "Agent"}),
    ] {
        amend(&service, &granting, &payload)
            .await?
            .expect_problem(422, "INVALID_BODY")?;
    }
    Ok(())
}

#[tokio::test]
async fn a_request_says_where_it_belongs() -> Result<()> {
    let service = with_architects().await?;
    let mut body = asked("low");
    body["scope"] = json!({"orgId": "o1", "teamId": "red"});
    let made = ask(&service, &body).await?;
    ensure!(made["scope"] == body["scope"], "{made}");
    let told = service.events("action=approval.request").await?;
    ensure!(told[0]["details"]["scope"] == body["scope"], "{told:?}");
    body["scope"] = json!({"teamId": "x".repeat(257)});
    service
        .post(DEV, "/api/v1/approval/request", &body)
        .await?
        .expect_problem(422, "INVALID_BODY")
}

/// Waits until somebody waits for a row.
async fn wait_for_a_lock(service: &Service) -> Result<()> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
        )
        .fetch_one(&service.root)
        .await?;
        if waiting > 0 {
            return Ok(());
        }
        ensure!(tokio::time::Instant::now() < deadline, "nobody waits");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_goes_while_a_vote_waits_for_the_request_no_longer_votes() -> Result<()> {
    let service = with_architects().await?;
    let root = of_acme("root", "Admin");
    for (who, role) in [(ANN, "TechLead"), (CID, "Viewer")] {
        let body = json!({"principal": who.subject, "role": role});
        service.post(root, "/api/v1/roles/grant", &body).await?.expect(200)?;
    }
    let request = ask(&service, &asked("medium")).await?;
    // Ann may still vote, but not in this step; Cid may not vote any more.
    for (who, code) in [(ANN, "NOT_ELIGIBLE"), (CID, "FORBIDDEN")] {
        let mut holder = service.root.begin().await?;
        sqlx::query("select 1 from governance.approvals where id = $1::uuid for update")
            .bind(id_of(&request)?)
            .execute(&mut *holder)
            .await?;
        let voting = vote(&service, who, &request, "approve");
        let revoking = async {
            wait_for_a_lock(&service).await?;
            let body = json!({"principal": who.subject, "role": "Architect"});
            service.post(root, "/api/v1/roles/revoke", &body).await?.expect(200)?;
            holder.rollback().await?;
            Ok(())
        };
        let (refused, ()) = futures::future::try_join(voting, revoking).await?;
        refused.expect_problem(403, code)?;
        expect_told(&service, who, &refused, "approval.decide").await?;
    }
    Ok(())
}
