//! Approvals: who decides, what a vote counts for, and what is done once.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::service::{Service, Who, of_acme};
use crate::api::service::{Answer, send};

pub const ANN: Who<'static> = Who {
    tenant: "acme",
    subject: "ann",
    roles: "Architect",
};
pub const BOB: Who<'static> = Who { subject: "bob", ..ANN };
pub const CID: Who<'static> = Who { subject: "cid", ..ANN };
/// Who asks.
pub const DEV: Who<'static> = Who {
    tenant: "acme",
    subject: "dev",
    roles: "Developer",
};

/// A service that has seen the architects, so it knows who could decide.
pub async fn with_architects() -> Result<Service> {
    let service = Service::start().await?;
    for who in [ANN, BOB, CID] {
        service.get(who, "/api/v1/policies").await?.expect(200)?;
    }
    Ok(service)
}

/// A request of a risk for something that is done elsewhere.
pub fn asked(risk: &str) -> Value {
    json!({
        "requestType": "sync", "title": "bring the handbook", "payload": {"source": "handbook"}, "riskLevel": risk,
        "justification": "it is out of date",
    })
}

/// Asks, and returns the request.
pub async fn ask(service: &Service, body: &Value) -> Result<Value> {
    let made = service.post(DEV, "/api/v1/approval/request", body).await?;
    made.expect(201)?;
    Ok(made.body)
}

pub fn id_of(request: &Value) -> Result<&str> {
    request["id"].as_str().context("a request has an id")
}

/// Votes.
pub async fn vote(service: &Service, who: Who<'_>, request: &Value, decision: &str) -> Result<Answer> {
    let body = json!({
        "requestId": request["id"], "decision": decision, "comment": "I have read it",
        "payloadHash": request["payloadHash"],
    });
    service.post(who, "/api/v1/approval/decide", &body).await
}

/// Applies a request, as who asked for it, with the payload that it was shown with.
pub async fn apply(service: &Service, request: &Value) -> Result<Answer> {
    apply_as(service, DEV, request).await
}

/// The same as somebody else.
pub async fn apply_as(service: &Service, who: Who<'_>, request: &Value) -> Result<Answer> {
    let path = format!("/api/v1/approval/apply/{}", id_of(request)?);
    service
        .post(who, &path, &json!({"payloadHash": request["payloadHash"]}))
        .await
}

/// Holds an answer's refusal against the newest one of somebody in the log.
pub async fn expect_told(service: &Service, who: Who<'_>, refused: &Answer, action: &str) -> Result<()> {
    let told = service
        .events(&format!("outcome=deny&actor={}&limit=1", who.subject))
        .await?;
    let newest = told.first().context("the refusal is not in the log")?;
    let decision = newest["decisionId"].as_str().context("a refusal has a decision")?;
    ensure!(
        newest["action"] == action
            && newest["details"]["code"] == refused.body["code"]
            && refused.text.contains(decision),
        "{newest} does not tell of {}",
        refused.text
    );
    Ok(())
}

/// Returns what has become of a request.
pub async fn status(service: &Service, request: &Value) -> Result<Value> {
    let shown = service
        .get(DEV, &format!("/api/v1/approval/{}", id_of(request)?))
        .await?;
    shown.expect(200)?;
    Ok(shown.body["status"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_approve_what_may_do_much_harm_and_it_is_applied_once() -> Result<()> {
    let service = with_architects().await?;
    let request = ask(&service, &asked("high")).await?;
    ensure!(
        request["requestNumber"]
            .as_str()
            .is_some_and(|number| number.ends_with("-0001"))
            && request["eligibleApprovers"] == 3,
        "{request}"
    );
    apply(&service, &request).await?.expect_problem(409, "NOT_APPROVED")?;
    let mut silent = json!({"requestId": request["id"], "decision": "approve"});
    service
        .post(ANN, "/api/v1/approval/decide", &silent)
        .await?
        .expect_problem(422, "JUSTIFICATION_REQUIRED")?;
    // Which payload was looked at is not said.
    silent["comment"] = json!("fine");
    service
        .post(ANN, "/api/v1/approval/decide", &silent)
        .await?
        .expect_problem(422, "INVALID_BODY")?;
    let first = vote(&service, ANN, &request, "approve").await?;
    first.expect(200)?;
    ensure!(
        first.body["quorum"] == json!({"required": 2, "approved": 1, "rejected": 0, "remaining": 1}),
        "{}",
        first.text
    );
    vote(&service, ANN, &request, "approve")
        .await?
        .expect_problem(409, "ALREADY_DECIDED")?;
    let second = vote(&service, BOB, &request, "approve").await?;
    ensure!(second.body["request"]["status"] == "approved", "{}", second.text);
    vote(&service, CID, &request, "reject")
        .await?
        .expect_problem(409, "NOT_PENDING")?;
    let admins = ["ada", "bea", "cyd", "dot", "eva", "fay", "gil", "hal"].map(|name| of_acme(name, "Admin"));
    let applied = futures::future::try_join_all(admins.map(|who| apply_as(&service, who, &request))).await?;
    let done = applied.iter().filter(|answer| answer.status == 200).count();
    ensure!(done == 1, "applied {done} times");
    for answer in applied.iter().filter(|answer| answer.status != 200) {
        answer.expect_problem(409, "ALREADY_APPLIED")?;
    }
    let told = service.events("targetType=Approval&outcome=allow&limit=100").await?;
    let mut actions: Vec<&str> = told.iter().filter_map(|event| event["action"].as_str()).collect();
    actions.reverse();
    ensure!(
        actions
            == [
                "approval.request",
                "approval.decide",
                "approval.decide",
                "approval.approved",
                "approval.apply"
            ],
        "{actions:?}"
    );
    ensure!(service.verify("acme").await?["valid"] == true, "the chain is broken");
    Ok(())
}

#[tokio::test]
async fn nobody_decides_on_his_own_request_nor_an_agent_on_any() -> Result<()> {
    let service = with_architects().await?;
    let through_an_agent = |path: &str| {
        let bot = of_acme("bot", "Architect");
        service.request(Method::POST, path, bot).header("X-On-Behalf-Of", "ann")
    };
    let made = send(through_an_agent("/api/v1/approval/request").json(&asked("medium"))).await?;
    made.expect(201)?;
    ensure!(
        made.body["requester"] == "ann" && made.body["requestedBy"] == "bot",
        "{}",
        made.text
    );
    let own = vote(&service, ANN, &made.body, "approve").await?;
    own.expect_problem(403, "SELF_APPROVAL")?;
    expect_told(&service, ANN, &own, "approval.decide").await?;
    let body = json!({"requestId": made.body["id"], "decision": "approve"});
    send(through_an_agent("/api/v1/approval/decide").json(&body))
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    let tom = of_acme("tom", "TechLead");
    let low = vote(&service, tom, &made.body, "approve").await?;
    low.expect_problem(403, "NOT_ELIGIBLE")?;
    expect_told(&service, tom, &low, "approval.decide").await?;
    vote(&service, of_acme("vic", "Viewer"), &made.body, "approve")
        .await?
        .expect_problem(403, "FORBIDDEN")?;
    let rejected = vote(&service, BOB, &made.body, "reject").await?;
    ensure!(rejected.body["request"]["status"] == "rejected", "{}", rejected.text);
    Ok(())
}

#[tokio::test]
async fn who_made_a_request_for_somebody_does_not_decide_on_it_by_himself_either() -> Result<()> {
    let service = with_architects().await?;
    let bot = of_acme("ci-bot", "Architect");
    let made = service.request(Method::POST, "/api/v1/approval/request", bot);
    let made = send(made.header("X-On-Behalf-Of", "dev").json(&asked("medium"))).await?;
    made.expect(201)?;
    // By its own token it is nobody's agent.
    service.get(bot, "/api/v1/policies").await?.expect(200)?;
    let own = vote(&service, bot, &made.body, "approve").await?;
    own.expect_problem(403, "SELF_APPROVAL")?;
    let admin = of_acme("ci-bot", "Admin");
    let path = format!("/api/v1/approval/break-glass/{}", id_of(&made.body)?);
    service
        .post(admin, &path, &json!({"justification": "now"}))
        .await?
        .expect_problem(403, "SELF_APPROVAL")?;
    ensure!(status(&service, &made.body).await? == "pending");
    // Nor does it count among those who could decide.
    let again = service.request(Method::POST, "/api/v1/approval/request", bot);
    let again = send(again.header("X-On-Behalf-Of", "dev").json(&asked("medium"))).await?;
    ensure!(again.body["eligibleApprovers"] == 3, "{}", again.text);
    vote(&service, ANN, &made.body, "approve").await?.expect(200)
}

#[tokio::test]
async fn an_approver_who_lost_the_role_takes_the_vote_along() -> Result<()> {
    let service = with_architects().await?;
    let request = ask(&service, &asked("high")).await?;
    vote(&service, ANN, &request, "approve").await?.expect(200)?;
    service
        .post(
            of_acme("root", "Admin"),
            "/api/v1/roles/revoke",
            &json!({"principal": "ann", "role": "Architect"}),
        )
        .await?
        .expect(200)?;
    let second = vote(&service, BOB, &request, "approve").await?;
    ensure!(
        second.body["request"]["status"] == "pending" && second.body["quorum"]["remaining"] == 1,
        "{}",
        second.text
    );
    let third = vote(&service, CID, &request, "approve").await?;
    ensure!(third.body["request"]["status"] == "approved", "{}", third.text);
    Ok(())
}

#[tokio::test]
async fn another_payload_voids_the_votes() -> Result<()> {
    let service = with_architects().await?;
    let request = ask(&service, &asked("high")).await?;
    vote(&service, ANN, &request, "approve").await?.expect(200)?;
    let path = format!("/api/v1/approval/{}", id_of(&request)?);
    let put = |who| {
        let body = json!({"payload": {"source": "wiki"}});
        send(service.request(Method::PUT, &path, who).json(&body))
    };
    let foreign = put(BOB).await?;
    foreign.expect_problem(403, "FORBIDDEN")?;
    expect_told(&service, BOB, &foreign, "approval.request").await?;
    let amended = put(DEV).await?;
    amended.expect(200)?;
    ensure!(amended.body["currentApprovals"] == 0, "{}", amended.text);
    let of_the_old = json!({
        "requestId": request["id"], "decision": "approve", "comment": "yes", "payloadHash": request["payloadHash"],
    });
    service
        .post(BOB, "/api/v1/approval/decide", &of_the_old)
        .await?
        .expect_problem(409, "PAYLOAD_CHANGED")?;
    for who in [BOB, ANN] {
        vote(&service, who, &amended.body, "approve").await?.expect(200)?;
    }
    apply(&service, &request)
        .await?
        .expect_problem(409, "PAYLOAD_CHANGED")?;
    apply(&service, &amended.body).await?.expect(200)
}
