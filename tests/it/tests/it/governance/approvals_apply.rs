//! Who applies what was approved, and what becomes of an answer that is lost.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::approvals::{ANN, BOB, DEV, apply, apply_as, ask, asked, expect_told, id_of, vote, with_architects};
use super::service::{Service, of_acme};
use crate::api::service::send;

async fn approved(service: &Service, body: &Value) -> Result<Value> {
    let request = ask(service, body).await?;
    vote(service, ANN, &request, "approve").await?.expect(200)?;
    Ok(request)
}

#[tokio::test]
async fn nobody_applies_what_somebody_else_asked_for_but_an_admin() -> Result<()> {
    let service = with_architects().await?;
    let request = approved(&service, &asked("low")).await?;
    for (subject, roles) in [("eve", "Developer"), ("art", "Architect")] {
        let who = of_acme(subject, roles);
        let refused = apply_as(&service, who, &request).await?;
        refused.expect_problem(403, "FORBIDDEN")?;
        expect_told(&service, who, &refused, "approval.applyAny").await?;
    }
    let body = json!({"payloadHash": request["payloadHash"]});
    let path = format!("/api/v1/approval/apply/{}", id_of(&request)?);
    let by_agent = |human| {
        let bot = service.request(Method::POST, &path, of_acme("bot", "Admin"));
        send(bot.header("X-On-Behalf-Of", human).json(&body))
    };
    by_agent("root").await?.expect_problem(403, "FORBIDDEN")?;
    by_agent("dev").await?.expect(200)?;
    let request = approved(&service, &asked("low")).await?;
    let applied = apply_as(&service, of_acme("root", "Admin"), &request).await?;
    ensure!(
        applied.status == 200 && applied.body["appliedBy"] == "root",
        "{}",
        applied.text
    );
    Ok(())
}

#[tokio::test]
async fn a_lost_answer_is_had_again_by_who_applied_it_and_by_nobody_else() -> Result<()> {
    let service = with_architects().await?;
    let request = approved(&service, &asked("low")).await?;
    let first = apply(&service, &request).await?;
    first.expect(200)?;
    ensure!(
        first.body["alreadyApplied"] == false && first.body["applicationId"].is_string(),
        "{}",
        first.text
    );
    // Who has lost the answer, and who shares the token with one who has not, are told apart from the first.
    let again = apply(&service, &request).await?;
    let mut expected = first.body.clone();
    expected["alreadyApplied"] = json!(true);
    ensure!(
        again.status == 200 && again.body == expected,
        "{} does not repeat {}",
        again.text,
        first.text
    );
    let root = of_acme("root", "Admin");
    apply_as(&service, root, &request)
        .await?
        .expect_problem(409, "ALREADY_APPLIED")?;
    let mut other = request.clone();
    other["payloadHash"] = json!("00");
    apply(&service, &other).await?.expect_problem(409, "ALREADY_APPLIED")?;
    let told = service.events("action=approval.apply&outcome=allow").await?;
    ensure!(told.len() == 1, "{told:?}");
    // What this service has done itself is not asked for again.
    service.get(root, "/api/v1/policies").await?.expect(200)?;
    let mut grant = asked("low");
    grant["requestType"] = json!("role");
    grant["payload"] = json!({"principal": "new", "role": "Viewer"});
    let granting = ask(&service, &grant).await?;
    vote(&service, root, &granting, "approve").await?.expect(200)?;
    apply(&service, &granting).await?.expect(200)?;
    apply(&service, &granting)
        .await?
        .expect_problem(409, "ALREADY_APPLIED")?;
    vote(&service, BOB, &granting, "approve")
        .await?
        .expect_problem(409, "NOT_PENDING")?;
    service.get(DEV, "/api/v1/roles?principal=new").await?.expect(200)
}

#[tokio::test]
async fn an_agent_that_is_nothing_else_applies_what_its_human_asked_for() -> Result<()> {
    let service = with_architects().await?;
    let request = approved(&service, &asked("low")).await?;
    let path = format!("/api/v1/approval/apply/{}", id_of(&request)?);
    let body = json!({"payloadHash": request["payloadHash"]});
    let by_agent = |human| {
        let bot = service.request(Method::POST, &path, of_acme("bot", "Agent"));
        send(bot.header("X-On-Behalf-Of", human).json(&body))
    };
    by_agent("ann").await?.expect_problem(403, "FORBIDDEN")?;
    by_agent("dev").await?.expect(200)
}

#[tokio::test]
async fn at_once_one_of_several_workers_of_one_subject_is_the_first() -> Result<()> {
    let service = with_architects().await?;
    let request = approved(&service, &asked("low")).await?;
    let answers = futures::future::try_join_all((0..8).map(|_| apply(&service, &request))).await?;
    let first = answers.iter().filter(|answer| answer.body["alreadyApplied"] == false);
    ensure!(
        first.count() == 1,
        "{:?}",
        answers.iter().map(|answer| &answer.text).collect::<Vec<_>>()
    );
    let id = &answers[0].body["applicationId"];
    ensure!(id.is_string() && answers.iter().all(|answer| answer.body["applicationId"] == *id));
    let left: i64 = sqlx::query_scalar("select count(*) from governance.approval_outbox")
        .fetch_one(&service.root)
        .await?;
    ensure!(left == 0, "{left} are still to be applied");
    Ok(())
}
