//! How requests end without a quorum, what they do when they are applied, and what is refused when they are made.

use anyhow::{Context as _, Result, ensure};
use governance_service::worker::expiry::{self, Look, PAGE};
use reqwest::Method;
use serde_json::{Value, json};

use super::approvals::{ANN, BOB, DEV, apply, ask, asked, expect_told, id_of, status, vote, with_architects};
use super::bodies::constraint;
use super::service::{Service, Who, of_acme};
use crate::api::service::send;

async fn let_its_time_pass(service: &Service, request: &Value) -> Result<()> {
    sqlx::query("update governance.approvals set expires_at = now() - interval '1 second' where id = $1::uuid")
        .bind(id_of(request)?)
        .execute(&service.root)
        .await?;
    Ok(())
}

#[tokio::test]
async fn expiry_never_approves_whoever_notices_it() -> Result<()> {
    let service = with_architects().await?;
    let (noticed, left) = (ask(&service, &asked("low")).await?, ask(&service, &asked("low")).await?);
    for request in [&noticed, &left] {
        let_its_time_pass(&service, request).await?;
    }
    vote(&service, ANN, &noticed, "approve")
        .await?
        .expect_problem(410, "EXPIRED")?;
    ensure!(status(&service, &noticed).await? == "expired", "a vote does not notice");
    let look = expiry::expire(&service.state.pool, PAGE).await?;
    ensure!(
        look == Look { found: 1, failed: 0 } && status(&service, &left).await? == "expired",
        "{look:?}"
    );
    apply(&service, &left).await?.expect_problem(409, "NOT_APPROVED")?;
    let told = service.events("action=approval.expire").await?;
    ensure!(told.len() == 2, "{told:?}");
    ensure!(service.verify("acme").await?["valid"] == true, "the chain is broken");
    Ok(())
}

#[tokio::test]
async fn a_request_that_cannot_be_marked_keeps_no_other_one_waiting() -> Result<()> {
    let service = with_architects().await?;
    let (broken, good) = (ask(&service, &asked("low")).await?, ask(&service, &asked("low")).await?);
    for request in [&broken, &good] {
        let_its_time_pass(&service, request).await?;
    }
    // It is found first, and cannot be read. A page that is full of such requests was found again for ever, and no other.
    sqlx::query(
        "update governance.approvals set steps = '7', expires_at = expires_at - interval '1 hour' where id = $1::uuid",
    )
    .bind(id_of(&broken)?)
    .execute(&service.root)
    .await?;
    let look = expiry::expire(&service.state.pool, 1).await?;
    ensure!(
        look == Look { found: 2, failed: 1 } && status(&service, &good).await? == "expired",
        "{look:?}"
    );
    Ok(())
}

#[tokio::test]
async fn what_is_over_is_neither_withdrawn_nor_cancelled_nor_amended_nor_forced() -> Result<()> {
    let service = with_architects().await?;
    let root = of_acme("root", "Admin");
    for (who, method, path, body) in [
        (DEV, Method::POST, "/api/v1/approval/cancel/", Value::Null),
        (root, Method::POST, "/api/v1/approval/cancel/", Value::Null),
        (DEV, Method::PUT, "/api/v1/approval/", json!({"payload": {}})),
        (
            root,
            Method::POST,
            "/api/v1/approval/break-glass/",
            json!({"justification": "now"}),
        ),
    ] {
        let request = ask(&service, &asked("low")).await?;
        let_its_time_pass(&service, &request).await?;
        let path = format!("{path}{}", id_of(&request)?);
        send(service.request(method, &path, who).json(&body))
            .await?
            .expect_problem(410, "EXPIRED")
            .map_err(|error| error.context(path))?;
        ensure!(status(&service, &request).await? == "expired");
    }
    Ok(())
}

#[tokio::test]
async fn glass_is_not_broken_for_a_role_above_ones_own() -> Result<()> {
    let service = with_architects().await?;
    let (root, chief) = (of_acme("root", "Admin"), of_acme("chief", "TenantAdmin"));
    for who in [chief, of_acme("chief2", "TenantAdmin")] {
        service.get(who, "/api/v1/policies").await?.expect(200)?;
    }
    let mut body = asked("high");
    body["requestType"] = json!("role");
    body["payload"] = json!({"principal": "new", "role": "TenantAdmin"});
    let request = ask(&service, &body).await?;
    let path = format!("/api/v1/approval/break-glass/{}", id_of(&request)?);
    let why = json!({"justification": "everybody is ill"});
    let refused = service.post(root, &path, &why).await?;
    refused.expect_problem(403, "NOT_ELIGIBLE")?;
    expect_told(&service, root, &refused, "approval.breakGlass").await?;
    service.post(chief, &path, &why).await?.expect(200)
}

#[tokio::test]
async fn who_asked_withdraws_and_an_admin_cancels() -> Result<()> {
    let service = with_architects().await?;
    for (who, ended) in [(DEV, "withdrawn"), (of_acme("root", "Admin"), "cancelled")] {
        let request = ask(&service, &asked("low")).await?;
        let path = format!("/api/v1/approval/cancel/{}", id_of(&request)?);
        let stranger = of_acme("eve", "Developer");
        let refused = send(service.request(Method::POST, &path, stranger)).await?;
        refused.expect_problem(403, "FORBIDDEN")?;
        expect_told(&service, stranger, &refused, "approval.cancel").await?;
        let answer = send(service.request(Method::POST, &path, who)).await?;
        ensure!(answer.body["status"] == ended, "{}", answer.text);
        send(service.request(Method::POST, &path, who))
            .await?
            .expect_problem(409, "NOT_PENDING")?;
    }
    Ok(())
}

#[tokio::test]
async fn broken_glass_is_told_twice_and_never_for_oneself() -> Result<()> {
    let service = with_architects().await?;
    let request = ask(&service, &asked("critical"))
        .await
        .err()
        .context("nobody is an Admin yet")?;
    ensure!(request.to_string().contains("422"), "{request}");
    let request = ask(&service, &asked("high")).await?;
    let path = format!("/api/v1/approval/break-glass/{}", id_of(&request)?);
    let why = json!({"justification": "the site is down"});
    service.post(ANN, &path, &why).await?.expect_problem(403, "FORBIDDEN")?;
    let own = of_acme("dev", "Admin");
    let refused = service.post(own, &path, &why).await?;
    refused.expect_problem(403, "SELF_APPROVAL")?;
    expect_told(&service, own, &refused, "approval.breakGlass").await?;
    let admin = of_acme("root", "Admin");
    service
        .post(admin, &path, &json!({"justification": " "}))
        .await?
        .expect_problem(422, "JUSTIFICATION_REQUIRED")?;
    let broken = service.post(admin, &path, &why).await?;
    ensure!(
        broken.body["status"] == "approved"
            && broken.body["brokenGlass"] == true
            && broken.body["emergency"] == "the site is down",
        "{}",
        broken.text
    );
    for action in ["approval.breakGlass", "approval.approved"] {
        let told = service.events(&format!("action={action}&outcome=allow")).await?;
        ensure!(told.len() == 1, "{action}: {told:?}");
        // The log is never forgotten, and people write names into such texts.
        let has_hash = told[0]["details"]["justificationHash"].is_string();
        ensure!(has_hash == (action == "approval.breakGlass"), "{told:?}");
        ensure!(!json!(told).to_string().contains("the site is down"), "{told:?}");
    }
    apply(&service, &request).await?.expect(200)
}

#[tokio::test]
async fn an_applied_policy_is_active_and_an_applied_role_is_held() -> Result<()> {
    let service = with_architects().await?;
    let mut draft = constraint("no-openssl");
    draft["status"] = json!("draft");
    let made = service.post(ANN, "/api/v1/policies", &draft).await?;
    made.expect(201)?;
    let policy = format!("/api/v1/policies/{}", made.body["id"].as_str().context("an id")?);
    let mut activate = asked("low");
    activate["requestType"] = json!("policy");
    activate["payload"] = json!({"policyId": made.body["id"], "version": 1});
    let (first, second) = (ask(&service, &activate).await?, ask(&service, &activate).await?);
    for request in [&first, &second] {
        vote(&service, BOB, request, "approve").await?.expect(200)?;
    }
    apply(&service, &first).await?.expect(200)?;
    let shown = service.get(ANN, &policy).await?;
    ensure!(
        shown.body["status"] == "active" && shown.body["version"] == 2,
        "{}",
        shown.text
    );
    // The version that was approved is no longer in force, and the request stays approved.
    apply(&service, &second)
        .await?
        .expect_problem(412, "PRECONDITION_FAILED")?;
    ensure!(status(&service, &second).await? == "approved", "a failed apply took it");

    let admin = of_acme("root", "Admin");
    service.get(admin, "/api/v1/policies").await?.expect(200)?;
    let mut grant = asked("low");
    grant["requestType"] = json!("role");
    grant["payload"] = json!({"principal": "new", "role": "TechLead"});
    let granting = ask(&service, &grant).await?;
    vote(&service, ANN, &granting, "approve")
        .await?
        .expect_problem(403, "NOT_ELIGIBLE")?;
    vote(&service, admin, &granting, "approve").await?.expect(200)?;
    apply(&service, &granting).await?.expect(200)?;
    service.get(of_acme("new", ""), "/api/v1/audit").await?.expect(200)
}

#[tokio::test]
async fn what_nobody_could_approve_is_refused_when_it_is_asked_for() -> Result<()> {
    let service = Service::start().await?;
    let post = async |body: Value| service.post(DEV, "/api/v1/approval/request", &body).await;
    post(asked("medium")).await?.expect_problem(422, "UNSATISFIABLE_RULE")?;
    let with = |name: &str, value: Value| {
        let mut body = asked("high");
        body[name] = value;
        body
    };
    post(with("justification", Value::Null))
        .await?
        .expect_problem(422, "JUSTIFICATION_REQUIRED")?;
    for (name, value) in [
        ("title", json!("")),
        ("payload", json!({"text": "x".repeat(65_537)})),
        ("expiresInHours", json!(721)),
        ("requiredApprovals", json!(1)),
        ("steps", json!([{"required": 2, "roles": ["TechLead"]}])),
        ("requestType", json!("policy")),
        ("surprise", json!(1)),
    ] {
        post(with(name, value.clone()))
            .await?
            .expect_problem(422, "INVALID_BODY")
            .map_err(|error| error.context(name))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_retry_with_the_same_key_asks_once() -> Result<()> {
    let service = with_architects().await?;
    let ask = |body: Value| {
        let request = service.request(Method::POST, "/api/v1/approval/request", DEV);
        send(request.header("Idempotency-Key", "k1").json(&body))
    };
    let first = ask(asked("low")).await?;
    first.expect(201)?;
    vote(&service, ANN, &first.body, "abstain").await?.expect(200)?;
    let again = ask(asked("low")).await?;
    again.expect(200)?;
    // It shows the request as it is by now.
    ensure!(
        again.body["id"] == first.body["id"]
            && again.body["eligibleApprovers"] == 3
            && again.body["decisions"][0]["decision"] == "abstain",
        "{}",
        again.text
    );
    ask(asked("medium"))
        .await?
        .expect_problem(409, "IDEMPOTENCY_CONFLICT")?;
    for key in ["", &"k".repeat(257)] {
        let request = service.request(Method::POST, "/api/v1/approval/request", DEV);
        send(request.header("Idempotency-Key", key).json(&asked("low")))
            .await?
            .expect_problem(400, "INVALID_HEADER")?;
    }
    let page = service.get(DEV, "/api/v1/approval?mine=true&limit=1").await?;
    ensure!(
        page.body["items"].as_array().is_some_and(|items| items.len() == 1) && page.body["nextCursor"].is_null(),
        "{}",
        page.text
    );
    service
        .get(DEV, "/api/v1/approval?limit=0")
        .await?
        .expect_problem(400, "INVALID_PARAMETER")
}

#[tokio::test]
async fn a_stranger_finds_no_request_whatever_he_does_with_it() -> Result<()> {
    let service = with_architects().await?;
    let request = ask(&service, &asked("low")).await?;
    let id = id_of(&request)?;
    let stranger = Who {
        tenant: "globex",
        subject: "eve",
        roles: "PlatformAdmin",
    };
    let hash = json!({"payloadHash": request["payloadHash"]});
    for (method, path, body) in [
        (Method::GET, format!("/api/v1/approval/{id}"), None),
        (
            Method::PUT,
            format!("/api/v1/approval/{id}"),
            Some(json!({"payload": {}})),
        ),
        (Method::POST, format!("/api/v1/approval/cancel/{id}"), None),
        (Method::POST, format!("/api/v1/approval/apply/{id}"), Some(hash)),
        (
            Method::POST,
            format!("/api/v1/approval/break-glass/{id}"),
            Some(json!({"justification": "mine"})),
        ),
        (
            Method::POST,
            "/api/v1/approval/decide".to_owned(),
            Some(json!({"requestId": id, "decision": "approve"})),
        ),
        (
            Method::POST,
            "/api/v1/approval/decide".to_owned(),
            Some(json!({"requestNumber": request["requestNumber"], "decision": "approve"})),
        ),
    ] {
        let mut asked = service.request(method, &path, stranger);
        if let Some(body) = &body {
            asked = asked.json(body);
        }
        send(asked)
            .await?
            .expect_problem(404, "APPROVAL_NOT_FOUND")
            .map_err(|error| error.context(path))?;
    }
    let page = service.get(stranger, "/api/v1/approval").await?;
    page.expect(200)?;
    ensure!(page.body["items"] == json!([]), "{}", page.text);
    ensure!(status(&service, &request).await? == "pending", "a stranger changed it");
    Ok(())
}
