//! Texts that cannot be stored or are too long are the caller's mistake, wherever they stand.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::bodies::{constraint, question};
use super::service::{Service, of_acme};

fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    *body.pointer_mut(pointer).expect("the body has it") = value;
    body
}

#[tokio::test]
async fn nul_and_texts_without_end_are_refused_and_never_a_fault_of_ours() -> Result<()> {
    let service = Service::start().await?;
    let asked = question(&["Viewer"], "memory.read");
    let placed = |name: &str, value: Value| {
        let mut body = asked.clone();
        body["resource"]["properties"] = json!({name: value});
        body
    };
    let long = json!("x".repeat(257));
    let questions = [
        with(asked.clone(), "/subject/id", json!("a\u{0}b")),
        with(asked.clone(), "/resource/id", json!("a\u{0}b")),
        with(asked.clone(), "/subject/id", long.clone()),
        with(asked.clone(), "/action/name", long.clone()),
        placed("orgId", long.clone()),
        placed("teamId", long.clone()),
        placed("projectId", json!("a\u{0}")),
    ];
    let gate = of_acme("gate", "Developer");
    for body in &questions {
        service
            .post(gate, "/api/v1/policies/evaluate", body)
            .await?
            .expect_problem(422, "INVALID_BODY")?;
        let simulated = json!({"policy": constraint("a"), "evaluations": [body]});
        service
            .post(gate, "/api/v1/policies/simulate", &simulated)
            .await?
            .expect_problem(422, "INVALID_BODY")?;
    }
    let check = json!({"scope": {"teamId": long}, "context": {}});
    service
        .post(gate, "/api/v1/policies/validate", &check)
        .await?
        .expect_problem(422, "INVALID_BODY")?;
    let mut policy = constraint("globs");
    policy["rules"][0]["appliesTo"] = json!(["src/\u{0}"]);
    service
        .post(of_acme("ann", "Architect"), "/api/v1/policies", &policy)
        .await?
        .expect_problem(422, "INVALID_POLICY")?;
    service
        .get(gate, "/api/v1/roles?principal=%00")
        .await?
        .expect_problem(400, "INVALID_PARAMETER")?;
    let grant = json!({"principal": "ann", "role": "Agent"});
    for verb in ["grant", "revoke"] {
        let refused = service
            .post(of_acme("root", "Admin"), &format!("/api/v1/roles/{verb}"), &grant)
            .await?;
        refused.expect_problem(422, "INVALID_BODY")?;
        ensure!(refused.body["errors"][0]["pointer"] == "/role", "{}", refused.text);
    }
    Ok(())
}

/// Wherever a check is forgotten, the database says what is wrong with the text.
#[tokio::test]
async fn characters_that_the_database_refuses_are_the_callers_mistake() -> Result<()> {
    let service = Service::start().await?;
    for (query, text) in [("select $1::text", "a\u{0}b"), ("select $1::jsonb", "[\"\\u0000\"]")] {
        let refused = sqlx::query(query).bind(text).execute(&service.root).await;
        let error = refused.err().ok_or_else(|| anyhow::anyhow!("{query} took it"))?;
        let problem = aeterna_kit::problem::Problem::database(&error);
        ensure!(problem.code.parts().0 == "INVALID_BODY", "{query}: {problem:?}");
    }
    Ok(())
}
