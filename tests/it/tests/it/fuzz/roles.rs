//! Who lacks a permission of docs/rbac.md is refused on every route that asks for it, and who has it is not refused for it.
//!
//! Which permission a route asks for is learnt from the refusal of a caller without any role.

use std::collections::BTreeSet;

use aeterna_policy::rbac::{Action, Role, action, matrix};
use anyhow::{Context as _, Result, ensure};

use super::owner::{self, Subject};
use crate::api::service::Answer;
use crate::governance::service::Service as Governance;
use crate::guard::world::World;

/// The action that an answer refuses.
fn refused(answer: &Answer) -> Option<Action> {
    if answer.status != 403 || answer.body["code"] != "FORBIDDEN" {
        return None;
    }
    let (name, _) = answer.body["detail"].as_str()?.split_once(" is not allowed: ")?;
    action::find(name)
}

async fn expect_the_matrix(subject: &Subject) -> Result<BTreeSet<&'static str>> {
    let id = subject.ids.iter().next().context("the owner has something")?;
    let mut learnt = BTreeSet::new();
    for request in subject.requests(id) {
        // Who sends these has no token, and signs them.
        if subject
            .signed
            .contains(&(request.method.as_str(), request.template.as_str()))
        {
            continue;
        }
        let nobody = subject.send(("acme", "nobody", ""), &request).await?;
        let shown = format!("{} {} {}", subject.name, request.method, request.text());
        let asks_for = refused(&nobody).with_context(|| {
            format!(
                "{shown} lets a caller without roles pass: {} {}",
                nobody.status, nobody.text
            )
        })?;
        learnt.insert(asks_for.name);
        for role in Role::ALL {
            let who = format!("fuzz-{role}");
            let answer = subject.send(("acme", &who, role.name()), &request).await?;
            let passes = refused(&answer) != Some(asks_for);
            ensure!(
                passes == matrix::allows(role, asks_for),
                "{shown} asks for {}, and as {role} answers {} {}",
                asks_for.name,
                answer.status,
                answer.text
            );
            ensure!(answer.status < 500, "{shown} as {role}: {}", answer.text);
        }
    }
    Ok(learnt)
}

#[tokio::test]
async fn governance_keeps_to_the_matrix_on_every_route() -> Result<()> {
    let service = Governance::start().await?;
    let learnt = expect_the_matrix(&owner::governance(&service).await?).await?;
    let all = [
        "approval.apply",
        "approval.breakGlass",
        "approval.decide",
        "approval.read",
        "approval.request",
        "approval.withdraw",
        "audit.read",
        "audit.verify",
        "policy.activate",
        "policy.evaluate",
        "policy.read",
        "policy.simulate",
        "policy.snapshot",
        "policy.update",
        "role.grant",
        "role.read",
        "role.revoke",
    ];
    ensure!(learnt == BTreeSet::from(all), "{learnt:?}");
    Ok(())
}

#[tokio::test]
async fn memory_keeps_to_the_matrix_on_every_route_where_policies_decide() -> Result<()> {
    let world = World::start(300).await?;
    let service = world.memory().await?;
    let learnt = expect_the_matrix(&owner::memory(&service).await?).await?;
    let all = ["memory.create", "memory.delete", "memory.read", "memory.search"];
    ensure!(learnt == BTreeSet::from(all), "{learnt:?}");
    Ok(())
}

#[tokio::test]
async fn knowledge_keeps_to_the_matrix_on_every_route_where_policies_decide() -> Result<()> {
    let world = World::start(300).await?;
    let service = world.knowledge().await?;
    let learnt = expect_the_matrix(&owner::knowledge(&service).await?).await?;
    let all = ["knowledge.propose", "knowledge.read", "knowledge.search"];
    ensure!(all.iter().all(|name| learnt.contains(name)), "{learnt:?}");
    Ok(())
}

#[tokio::test]
async fn sync_keeps_to_the_matrix_on_every_route_where_policies_decide() -> Result<()> {
    let world = World::start(300).await?;
    let service = world.sync().await?;
    let learnt = expect_the_matrix(&owner::sync(&service).await?).await?;
    ensure!(
        learnt == BTreeSet::from(["sync.cancel", "sync.read", "sync.start"]),
        "{learnt:?}"
    );
    Ok(())
}
