//! The signed snapshot of a tenant's policies.

use aeterna_kit::clock;
use aeterna_kit::ids::TenantId;
use aeterna_policy::signed::{PublicKeys, Signed};
use aeterna_policy::snapshot::{Held, Snapshot};
use aeterna_testkit::Postgres;
use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::service::{Service, Who, of_acme};

const PATH: &str = "/api/v1/policies/snapshot";

/// Reads a public key as the other services do.
fn key_of(service: &Service) -> Result<PublicKeys> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("public.pem");
    let signer = service.state.signer.as_ref().context("the service has a key")?;
    std::fs::write(&path, signer.public_pem().context("the key has a public form")?)?;
    PublicKeys::load(&path)
}

async fn fetch(service: &Service, who: Who<'_>) -> Result<(Signed, Snapshot)> {
    let answer = service.get(who, PATH).await?;
    answer.expect(200)?;
    let signed: Signed = serde_json::from_value(answer.body)?;
    let snapshot = serde_json::from_str(&signed.text)?;
    Ok((signed, snapshot))
}

#[tokio::test]
async fn a_snapshot_holds_what_is_active_and_who_was_given_or_lost_a_role_and_is_believed() -> Result<()> {
    let service = Service::start().await?;
    let (_, empty) = fetch(&service, of_acme("ann", "Viewer")).await?;
    ensure!(
        empty.policies.is_some_and(|policies| policies.is_empty())
            && empty.version == 0
            && empty.max_age_seconds == 300
    );
    let forbids = r#"forbid (principal, action == Action::"memory.delete", resource);"#;
    service.enforce("acme", "keep", forbids).await?;
    let mut draft = super::bodies::cedar("later", forbids);
    draft["status"] = json!("draft");
    service
        .post(of_acme("ann", "Architect"), "/api/v1/policies", &draft)
        .await?
        .expect(201)?;
    for (path, role) in [("grant", "Viewer"), ("revoke", "TechLead")] {
        let body = json!({"principal": "ben", "role": role});
        service
            .post(of_acme("root", "Admin"), &format!("/api/v1/roles/{path}"), &body)
            .await?
            .expect(200)?;
    }
    let (signed, full) = fetch(&service, of_acme("ann", "Viewer")).await?;
    ensure!(
        full.tenant_id == "acme" && full.version > empty.version,
        "{}",
        signed.text
    );
    let names: Vec<&str> = full
        .policies
        .iter()
        .flatten()
        .map(|policy| policy.document.name.as_str())
        .collect();
    ensure!(names == ["keep"], "{names:?}");
    let roles: Vec<(&str, bool)> = full.roles.iter().map(|role| (role.role.name(), role.revoked)).collect();
    ensure!(roles == [("TechLead", true), ("Viewer", false)], "{roles:?}");
    // Whoever may not list roles does not read them here, and a guard knows whom it looks for.
    ensure!(!signed.text.contains("\"ben\""), "{}", signed.text);
    let tenant = TenantId::parse("acme")?;
    let held = Held::open(&signed, &key_of(&service)?, &tenant, clock::now(), None)?;
    ensure!(held.known_of("ben").len() == 2 && held.known_of("ann").is_empty());
    ensure!(held.set.hash() == full.policy_set_hash && !held.is_stale(clock::now()));
    Ok(())
}

#[tokio::test]
async fn who_has_the_policies_gets_the_rest_until_they_are_others() -> Result<()> {
    let service = Service::start().await?;
    let forbids = r#"forbid (principal, action == Action::"memory.delete", resource);"#;
    service.enforce("acme", "keep", forbids).await?;
    let ann = of_acme("ann", "Viewer");
    let (_, full) = fetch(&service, ann).await?;
    let known = format!("{PATH}?known={}", full.policy_set_hash);
    let again = async || -> Result<Snapshot> {
        let answer = service.get(ann, &known).await?;
        answer.expect(200)?;
        let signed: Signed = serde_json::from_value(answer.body)?;
        Ok(serde_json::from_str(&signed.text)?)
    };
    let short = again().await?;
    ensure!(short.policies.is_none() && short.policy_set_hash == full.policy_set_hash);
    ensure!(short.issued_at > full.issued_at, "the rest is of this moment");
    service.enforce("acme", "keep more", forbids).await?;
    let other = again().await?;
    ensure!(other.policies.is_some_and(|policies| policies.len() == 2));
    service
        .get(ann, &format!("{PATH}?hash=x"))
        .await?
        .expect_problem(400, "INVALID_PARAMETER")
}

#[tokio::test]
async fn a_snapshot_is_the_callers_tenants() -> Result<()> {
    let service = Service::start().await?;
    let forbids = r#"forbid (principal, action == Action::"memory.delete", resource);"#;
    service.enforce("acme", "secret-name", forbids).await?;
    let stranger = Who {
        tenant: "globex",
        subject: "eve",
        roles: "PlatformAdmin",
    };
    let (signed, snapshot) = fetch(&service, stranger).await?;
    ensure!(
        snapshot.tenant_id == "globex" && !signed.text.contains("secret-name"),
        "{}",
        signed.text
    );
    Ok(())
}

#[tokio::test]
async fn without_a_key_there_is_no_snapshot() -> Result<()> {
    let service = Service::start_on(Postgres::shared().await?, false).await?;
    service
        .get(of_acme("ann", "Viewer"), PATH)
        .await?
        .expect_problem(501, "NO_SIGNING_KEY")
}
