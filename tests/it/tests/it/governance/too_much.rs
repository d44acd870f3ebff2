//! What would take too long, or more stack or room than there is, is refused and stops nobody else.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::bodies::{cedar, constraint};
use super::service::{Service, of_acme};
use crate::knowledge::service::wait_until;

fn nested(levels: usize) -> String {
    format!(
        "permit (principal, action, resource) when {{ {}true{} }};",
        "(".repeat(levels),
        ")".repeat(levels)
    )
}

/// It was parsed, on a stack that it is deeper than, before it was asked whether the caller may: one text of anybody ended the
/// process.
#[tokio::test]
async fn a_text_of_thirty_two_thousand_brackets_is_refused_wherever_it_is_sent() -> Result<()> {
    let service = Service::start().await?;
    let ann = of_acme("ann", "Architect");
    let deep = cedar("deep", &nested(32_000));
    for (path, body) in [
        ("/api/v1/policies", deep.clone()),
        ("/api/v1/policies/simulate", json!({"policy": deep})),
    ] {
        let refused = service.post(ann, path, &body).await?;
        refused.expect_problem(422, "INVALID_POLICY")?;
        let error = &refused.body["errors"][0];
        ensure!(error["pointer"] == "/cedar" && error["line"] == 1, "{}", refused.text);
        service
            .post(of_acme("eve", ""), path, &body)
            .await?
            .expect_problem(403, "FORBIDDEN")?;
    }
    service
        .post(ann, "/api/v1/policies", &cedar("shallow", &nested(28)))
        .await?
        .expect(201)
}

#[tokio::test]
async fn nobody_without_a_role_has_a_text_checked() -> Result<()> {
    let service = Service::start().await?;
    let wrong = cedar("wrong", "permit (principal, akshun, resource);");
    for path in ["/api/v1/policies", "/api/v1/policies/simulate"] {
        let body = if path.ends_with("simulate") {
            json!({"policy": wrong})
        } else {
            wrong.clone()
        };
        service
            .post(of_acme("eve", ""), path, &body)
            .await?
            .expect_problem(403, "FORBIDDEN")?;
    }
    Ok(())
}

fn rules(name: &str, count: usize) -> Value {
    let mut policy = constraint(name);
    let rule = policy["rules"][0].clone();
    let rules = (0..count).map(|n| {
        let mut rule = rule.clone();
        rule["id"] = json!(format!("{name}-{n}"));
        rule["target"] = json!("file");
        rule["operator"] = json!("must_not_match");
        rule["value"] = json!("secret");
        rule
    });
    policy["rules"] = rules.collect();
    policy
}

#[tokio::test]
async fn a_check_of_much_against_many_rules_is_refused_and_says_how_much_it_is() -> Result<()> {
    let service = Service::start().await?;
    let ann = of_acme("ann", "Architect");
    for n in 0..5 {
        let made = service
            .post(ann, "/api/v1/policies", &rules(&format!("style {n}"), 100))
            .await?;
        made.expect(201)?;
    }
    let vic = of_acme("vic", "Viewer");
    let check = |files: usize| {
        let files: Vec<String> = (0..files).map(|n| format!("src/{n}")).collect();
        json!({"context": {"files": files}})
    };
    service
        .post(vic, "/api/v1/policies/validate", &check(100))
        .await?
        .expect(200)?;
    let much = service.post(vic, "/api/v1/policies/validate", &check(10_000)).await?;
    much.expect_problem(413, "PAYLOAD_TOO_LARGE")?;
    ensure!(
        much.body["errors"][0]["pointer"] == "/context" && much.text.contains("500 rules"),
        "{}",
        much.text
    );
    let simulated = json!({"policy": rules("more", 1), "check": check(10_000)});
    let much = service
        .post(of_acme("dev", "Developer"), "/api/v1/policies/simulate", &simulated)
        .await?;
    much.expect_problem(413, "PAYLOAD_TOO_LARGE")
}

/// Makes active policies behind the service's back, for that is quicker.
async fn fill(service: &Service, policies: i32, document: &Value) -> Result<()> {
    sqlx::query(
        "with made as (insert into governance.policies
            (tenant_id, id, name, kind, layer, place, version, status, created_by)
            select 'acme', gen_random_uuid(), $2 || n, 'constraint', 'company', '{}', 1, 'active', 'ann'
            from generate_series(1, $1) n returning id)
         insert into governance.policy_versions (tenant_id, policy_id, version, document, content_hash, created_by)
         select 'acme', id, 1, $3::text::jsonb, '00', 'ann' from made",
    )
    .bind(policies)
    .bind(document["name"].as_str())
    .bind(document.to_string())
    .execute(&service.root)
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_tenants_active_policies_have_so_many_rules_and_bytes_and_no_more() -> Result<()> {
    let (service, other) = (Service::start().await?, Service::start().await?);
    let ann = of_acme("ann", "Architect");
    fill(&service, 49, &rules("rules", 100)).await?;
    service
        .post(ann, "/api/v1/policies", &rules("the last", 100))
        .await?
        .expect(201)?;
    let refused = service.post(ann, "/api/v1/policies", &rules("one more", 1)).await?;
    refused.expect_problem(422, "INVALID_BODY")?;
    ensure!(refused.text.contains("5000 values"), "{}", refused.text);
    let text = format!("// {}\npermit (principal, action, resource);", "x".repeat(60_000));
    fill(&other, 69, &cedar("texts", &text)).await?;
    let refused = other.post(ann, "/api/v1/policies", &cedar("one more", &text)).await?;
    refused.expect_problem(422, "INVALID_BODY")?;
    ensure!(refused.text.contains("4194304 bytes"), "{}", refused.text);
    other
        .post(
            ann,
            "/api/v1/policies",
            &cedar("a short one", "permit (principal, action, resource);"),
        )
        .await?
        .expect(201)
}

/// Each measured the set before the others were in it, and all were taken.
#[tokio::test(flavor = "multi_thread")]
async fn of_several_policies_at_once_only_those_are_taken_for_which_there_is_room() -> Result<()> {
    let service = Service::start().await?;
    let ann = of_acme("ann", "Architect");
    // Her role is remembered now, in a transaction of its own.
    service.get(ann, "/api/v1/policies").await?.expect(200)?;
    fill(&service, 49, &rules("rules", 100)).await?;
    sqlx::query("insert into governance.policy_sets (tenant_id, version) values ('acme', 1)")
        .execute(&service.root)
        .await?;
    // Nobody's is committed before all of them have come as far as the set.
    let mut set = service.root.begin().await?;
    sqlx::query("select from governance.policy_sets for update")
        .execute(&mut *set)
        .await?;
    let all_have_come = async {
        wait_until("all wait for the set", async || {
            let waiting: i64 = sqlx::query_scalar(
                "select count(*) from pg_stat_activity where datname = current_database()
                 and wait_event_type = 'Lock' and query like 'insert into governance.policy_sets%'",
            )
            .fetch_one(&service.root)
            .await?;
            Ok(waiting == 3)
        })
        .await?;
        set.commit().await?;
        anyhow::Ok(())
    };
    let bodies = ["a", "b", "c"].map(|name| rules(name, 100));
    let post = |body| service.post(ann, "/api/v1/policies", body);
    let (a, b, c, come) = tokio::join!(post(&bodies[0]), post(&bodies[1]), post(&bodies[2]), all_have_come);
    come?;
    let answers = [a?, b?, c?];
    let taken = answers.iter().filter(|answer| answer.status == 201).count();
    ensure!(taken == 1, "{taken} are taken");
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        refused.expect_problem(422, "INVALID_BODY")?;
    }
    Ok(())
}
