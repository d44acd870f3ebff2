//! Making, asking and simulating policies.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::approvals::expect_told;
use super::bodies::{cedar, constraint, question};
use super::service::{Service, Who, of_acme};

const NO_DELETE: &str = r#"forbid (principal, action == Action::"memory.delete", resource);"#;

#[tokio::test]
async fn an_active_policy_decides_from_its_creation_on_and_is_named_as_the_reason() -> Result<()> {
    static BODY: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| question(&["TechLead"], "memory.delete"));
    let service = Service::start().await?;
    let (architect, viewer) = (of_acme("ann", "Architect"), of_acme("gate", "Viewer"));
    let ask = || service.post(viewer, "/api/v1/policies/evaluate", &BODY);
    let before = ask().await?;
    before.expect(200)?;
    ensure!(before.body["decision"] == true, "{}", before.text);
    ensure!(
        before.body["context"]["determining"] == json!(["builtin.tech-lead"]),
        "{}",
        before.text
    );
    let made = service
        .post(architect, "/api/v1/policies", &cedar("keep", NO_DELETE))
        .await?;
    made.expect(201)?;
    let after = ask().await?;
    let statement = format!("{}@1#0", made.body["id"].as_str().context("no id")?);
    ensure!(after.body["decision"] == false, "{}", after.text);
    ensure!(
        after.body["context"]["determining"] == json!([statement]),
        "{}",
        after.text
    );
    ensure!(
        after.body["context"]["policySetHash"] == made.body["policySetHash"],
        "{} {}",
        after.text,
        made.text
    );
    let told = service.events("action=policy.create").await?;
    ensure!(
        told.len() == 1 && told[0]["details"]["contentHash"] == made.body["contentHash"],
        "{told:?}"
    );
    ensure!(service.verify("acme").await?["valid"] == true);
    Ok(())
}

#[tokio::test]
async fn what_the_schema_does_not_know_is_answered_with_no() -> Result<()> {
    let service = Service::start().await?;
    let answer = service
        .post(
            of_acme("gate", "Viewer"),
            "/api/v1/policies/evaluate",
            &question(&["PlatformAdmin"], "memory.fly"),
        )
        .await?;
    answer.expect(200)?;
    ensure!(
        answer.body["decision"] == false && answer.body["context"]["reason"].is_string(),
        "{}",
        answer.text
    );
    Ok(())
}

#[tokio::test]
async fn who_says_that_the_subject_has_no_role_is_not_answered_by_those_that_are_remembered() -> Result<()> {
    let service = Service::start().await?;
    let ann = of_acme("ann", "Viewer");
    // Her role is remembered from then on.
    service.get(ann, "/api/v1/policies").await?.expect(200)?;
    let mut asked = question(&[], "memory.read");
    // What AuthZEN allows to be said of an action is taken.
    asked["action"]["properties"] = json!({"method": "GET"});
    let none = service.post(ann, "/api/v1/policies/evaluate", &asked).await?;
    ensure!(none.status == 200 && none.body["decision"] == false, "{}", none.text);
    asked["subject"]["properties"] = json!({});
    let remembered = service.post(ann, "/api/v1/policies/evaluate", &asked).await?;
    ensure!(remembered.body["decision"] == true, "{}", remembered.text);
    Ok(())
}

/// A decision for somebody who is known, by policies that are at hand, takes one statement: what has changed since counts in it.
#[tokio::test]
async fn whoever_has_asked_before_is_held_to_what_has_changed_since() -> Result<()> {
    let service = Service::start().await?;
    let (root, gate) = (of_acme("root", "Admin"), of_acme("gate", "Viewer"));
    let body = question(&["TechLead"], "memory.delete");
    let ask = async || service.post(gate, "/api/v1/policies/evaluate", &body).await;
    for _ in 0..3 {
        ensure!(ask().await?.body["decision"] == true);
    }
    let made = service
        .post(
            of_acme("ann", "Architect"),
            "/api/v1/policies",
            &cedar("keep", NO_DELETE),
        )
        .await?;
    made.expect(201)?;
    for _ in 0..2 {
        let after = ask().await?;
        ensure!(
            after.body["decision"] == false && after.body["context"]["policySetHash"] == made.body["policySetHash"],
            "{}",
            after.text
        );
    }
    // Whoever asks about himself is known by then.
    let mut of_himself = question(&[], "memory.delete");
    of_himself["subject"] = json!({"type": "user", "id": "new"});
    of_himself["action"]["name"] = json!("memory.read");
    let first = service
        .post(of_acme("new", "Viewer"), "/api/v1/policies/evaluate", &of_himself)
        .await?;
    ensure!(first.body["decision"] == true, "{}", first.text);
    let taken = json!({"principal": "gate", "role": "Viewer"});
    service.post(root, "/api/v1/roles/revoke", &taken).await?.expect(200)?;
    let refused = ask().await?;
    refused.expect_problem(403, "FORBIDDEN")?;
    expect_told(&service, gate, &refused, "policy.evaluate").await
}

/// Of two tenants with the same names, each is answered by its own policies, also when both are at hand.
#[tokio::test]
async fn what_is_at_hand_is_at_hand_for_its_tenant_alone() -> Result<()> {
    let service = Service::start().await?;
    service.enforce("acme", "keep", NO_DELETE).await?;
    let allowed = r#"forbid (principal, action == Action::"memory.create", resource);"#;
    service.enforce("globex", "keep", allowed).await?;
    let body = question(&["TechLead"], "memory.delete");
    for _ in 0..3 {
        for (tenant, decision) in [("acme", false), ("globex", true)] {
            let gate = Who {
                tenant,
                ..of_acme("gate", "Viewer")
            };
            let told = service.post(gate, "/api/v1/policies/evaluate", &body).await?;
            ensure!(told.body["decision"] == decision, "{tenant}: {}", told.text);
        }
    }
    Ok(())
}

/// Whoever does nothing else than to ask is remembered all the same.
#[tokio::test]
async fn a_gate_that_only_asks_is_not_forgotten() -> Result<()> {
    let service = Service::start().await?;
    let gate = of_acme("gate", "Viewer");
    let body = question(&["Viewer"], "memory.read");
    for age in ["2 days", "40 days"] {
        service
            .post(gate, "/api/v1/policies/evaluate", &body)
            .await?
            .expect(200)?;
        sqlx::query("update governance.role_assignments set seen_at = now() - $1::interval")
            .bind(age)
            .execute(&service.root)
            .await?;
        service
            .post(gate, "/api/v1/policies/evaluate", &body)
            .await?
            .expect(200)?;
        let seen =
            "select seen_at > now() - interval '1 day' from governance.role_assignments where principal = 'gate'";
        let is_fresh: bool = sqlx::query_scalar(seen).fetch_one(&service.root).await?;
        ensure!(is_fresh, "a sight was not noted after {age}");
    }
    Ok(())
}

#[tokio::test]
async fn a_question_that_is_none_is_refused_by_its_field() -> Result<()> {
    let service = Service::start().await?;
    let with = |pointer: &str, value: Value| {
        let mut body = question(&["Viewer"], "memory.read");
        if let Some(place) = body.pointer_mut(pointer) {
            *place = value;
        }
        body
    };
    for (pointer, value) in [
        ("/subject/id", json!("")),
        ("/subject/type", json!("ghost")),
        ("/subject/properties/roles", json!(["King"])),
        ("/resource/id", json!("x".repeat(257))),
    ] {
        let answer = service
            .post(
                of_acme("gate", "Viewer"),
                "/api/v1/policies/evaluate",
                &with(pointer, value),
            )
            .await?;
        answer.expect_problem(422, "INVALID_BODY")?;
        ensure!(answer.body["errors"][0]["pointer"] == pointer, "{}", answer.text);
    }
    Ok(())
}

#[tokio::test]
async fn a_text_that_is_wrong_is_refused_with_line_and_column() -> Result<()> {
    let service = Service::start().await?;
    let wrong = "permit (principal, action, resource);\npermit (principal, akshun, resource);";
    let refused = service
        .post(of_acme("ann", "Architect"), "/api/v1/policies", &cedar("typo", wrong))
        .await?;
    refused.expect_problem(422, "INVALID_POLICY")?;
    let error = &refused.body["errors"][0];
    ensure!(
        error["pointer"] == "/cedar" && error["line"] == 2 && error["column"] == 20,
        "{}",
        refused.text
    );
    Ok(())
}

#[tokio::test]
async fn a_field_that_does_not_fit_is_named_and_nothing_is_stored() -> Result<()> {
    let service = Service::start().await?;
    let with = |field: &str, value: Value| {
        let mut body = constraint("style");
        body[field] = value;
        body
    };
    let rule = |field: &str, value: Value| {
        let mut body = constraint("style");
        body["rules"][0][field] = value;
        body
    };
    for (body, code, pointer) in [
        (with("name", json!("")), "INVALID_BODY", "/name"),
        (with("name", json!("x".repeat(129))), "INVALID_BODY", "/name"),
        (with("layer", json!("galaxy")), "INVALID_BODY", "/layer"),
        (with("layer", json!("team")), "INVALID_BODY", "/scope/teamId"),
        (with("scope", json!({"orgId": "o"})), "INVALID_BODY", "/scope/orgId"),
        (with("cedar", json!("permit")), "INVALID_BODY", "/cedar"),
        (with("rules", json!([])), "INVALID_BODY", "/rules"),
        (with("colour", json!("red")), "INVALID_BODY", ""),
        (
            rule("operator", json!("must_exist_not")),
            "INVALID_BODY",
            "/rules/0/operator",
        ),
        (rule("ruleType", json!("deny")), "INVALID_POLICY", "/rules/0/ruleType"),
        (rule("value", json!("")), "INVALID_POLICY", "/rules/0/value"),
    ] {
        let answer = service
            .post(of_acme("ann", "Architect"), "/api/v1/policies", &body)
            .await?;
        answer.expect_problem(422, code)?;
        let named = answer.body["errors"][0]["pointer"].as_str().unwrap_or_default();
        ensure!(
            pointer.is_empty() || named == pointer,
            "{named} instead of {pointer}: {}",
            answer.text
        );
    }
    let left = service.get(of_acme("ann", "Viewer"), "/api/v1/policies").await?;
    ensure!(left.body["items"] == json!([]), "{}", left.text);
    Ok(())
}

#[tokio::test]
async fn constraints_find_violations_and_the_layer_above_wins() -> Result<()> {
    let service = Service::start().await?;
    let architect = of_acme("ann", "Architect");
    service
        .post(architect, "/api/v1/policies", &constraint("crypto"))
        .await?
        .expect(201)?;
    let mut lower = constraint("crypto");
    lower["layer"] = json!("team");
    lower["scope"] = json!({"teamId": "red"});
    lower["mode"] = json!("optional");
    lower["mergeStrategy"] = json!("override");
    lower["rules"][0]["value"] = json!("nothing");
    service.post(architect, "/api/v1/policies", &lower).await?.expect(201)?;
    let body = json!({"scope": {"teamId": "red"}, "context": {"dependencies": ["serde", "openssl-sys"]}});
    let found = service
        .post(of_acme("dev", "Developer"), "/api/v1/policies/validate", &body)
        .await?;
    found.expect(200)?;
    ensure!(
        found.body["isValid"] == false
            && found.body["driftScore"] == 1.0
            && found.body["violations"][0]["ruleId"] == "no-openssl",
        "{}",
        found.text
    );
    let nothing = service
        .post(
            of_acme("dev", "Developer"),
            "/api/v1/policies/validate",
            &json!({"context": {"path": "a.rs"}}),
        )
        .await?;
    ensure!(
        nothing.body["isValid"] == true && nothing.body["unchecked"][0]["ruleId"] == "no-openssl",
        "{}",
        nothing.text
    );
    let many: Vec<String> = (0..10_001).map(|n| n.to_string()).collect();
    service
        .post(
            of_acme("dev", "Developer"),
            "/api/v1/policies/validate",
            &json!({"context": {"files": many}}),
        )
        .await?
        .expect_problem(422, "INVALID_BODY")
}

#[tokio::test]
async fn a_simulation_tells_what_would_change_and_changes_nothing() -> Result<()> {
    let service = Service::start().await?;
    let developer = of_acme("dev", "Developer");
    let body = json!({
        "policy": cedar("keep", NO_DELETE),
        "evaluations": [question(&["TechLead"], "memory.delete"), question(&["TechLead"], "memory.read")],
    });
    let told = service.post(developer, "/api/v1/policies/simulate", &body).await?;
    told.expect(200)?;
    ensure!(told.body["changed"] == 1, "{}", told.text);
    let first = &told.body["evaluations"][0];
    ensure!(
        first["before"]["decision"] == true && first["after"]["decision"] == false,
        "{}",
        told.text
    );
    let real = service
        .post(
            developer,
            "/api/v1/policies/evaluate",
            &question(&["TechLead"], "memory.delete"),
        )
        .await?;
    ensure!(real.body["decision"] == true, "{}", real.text);
    let mut many = body.clone();
    many["evaluations"] = json!(vec![question(&["Viewer"], "memory.read"); 101]);
    service
        .post(developer, "/api/v1/policies/simulate", &many)
        .await?
        .expect_problem(422, "INVALID_BODY")?;
    let mut absent = body;
    absent["replaces"] = json!(uuid::Uuid::now_v7());
    service
        .post(developer, "/api/v1/policies/simulate", &absent)
        .await?
        .expect_problem(404, "POLICY_NOT_FOUND")
}

#[tokio::test]
async fn who_asks_about_what_no_service_tells_is_warned() -> Result<()> {
    let service = Service::start().await?;
    let ann = of_acme("ann", "Architect");
    let blind =
        r#"forbid (principal, action == Action::"memory.delete", resource) unless { context has mfa && context.mfa };"#;
    let mut body = cedar("two factors", blind);
    body["dryRun"] = json!(true);
    let made = service.post(ann, "/api/v1/policies", &body).await?;
    made.expect(200)?;
    ensure!(
        made.body["warnings"] == json!(["context.mfa is told by no service; there it is missing"]),
        "{}",
        made.text
    );
    let made = service.post(ann, "/api/v1/policies", &cedar("keep", NO_DELETE)).await?;
    ensure!(made.status == 201 && made.body["warnings"].is_null(), "{}", made.text);
    Ok(())
}
