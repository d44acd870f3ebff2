//! The audit chain: its writers, what is done to it, and how that is found.

use std::collections::BTreeMap;
use std::time::Duration;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::ids::TenantId;
use aeterna_testkit::Postgres;
use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use governance_service::audit::{Actor, Event, Outcome};
use governance_service::store::{self, Scoped};
use governance_service::worker::checkpoints;
use serde_json::{Map, Value};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::Barrier;

use super::service::{Service, of_acme};

fn happened(target: &str) -> Event {
    Event {
        actor: Actor::system(),
        action: "test.happened".to_owned(),
        target: ("Thing", target.to_owned()),
        outcome: Outcome::Allow,
        decision_id: None,
        details: Map::new(),
    }
}

async fn append(pool: &PgPool, tenant: &str, target: &str) -> Result<i64> {
    let scope = TenantScope::for_worker(TenantId::parse(tenant)?);
    let mut tx = Scoped::open(pool, &scope).await?;
    let seq = store::audit::append(&mut tx, &happened(target)).await?;
    tx.commit().await?;
    Ok(seq)
}

/// Appends events of acme.
pub async fn fill(service: &Service, count: i64) -> Result<()> {
    for n in 1..=count {
        append(&service.state.pool, "acme", &n.to_string()).await?;
    }
    Ok(())
}

async fn checkpoint(service: &Service) -> Result<()> {
    let anchor = service.state.anchor.as_ref().context("an anchor")?;
    checkpoints::write(&service.state.pool, anchor, &mut BTreeMap::new()).await
}

async fn expect_fault(service: &Service, seq: i64, fault: &str) -> Result<()> {
    let verdict = service.verify("acme").await?;
    ensure!(
        verdict["valid"] == false && verdict["firstBadSeq"] == seq && verdict["fault"] == fault,
        "not {fault} at {seq}: {verdict}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_writers_at_once_make_one_chain_from_its_first_event_on() -> Result<()> {
    let service = Service::start().await?;
    // A connection each, all of them open before the first writes.
    let patient = [("statement_timeout", "0"), ("idle_in_transaction_session_timeout", "0")];
    let options = (*service.state.pool.connect_options()).clone().options(patient);
    let pool = PgPoolOptions::new()
        .max_connections(64)
        .acquire_timeout(Duration::from_secs(120))
        .connect_with(options)
        .await?;
    let ready = Barrier::new(64);
    let writers = (0..64).map(|n| {
        let (pool, ready) = (&pool, &ready);
        async move {
            let scope = TenantScope::for_worker(TenantId::parse("acme")?);
            let mut tx = Scoped::open(pool, &scope).await?;
            ready.wait().await;
            let seq = store::audit::append(&mut tx, &happened(&n.to_string())).await?;
            tx.commit().await?;
            anyhow::Ok(seq)
        }
    });
    let mut seqs = try_join_all(writers).await?;
    seqs.sort_unstable();
    ensure!(seqs == (1..=64).collect::<Vec<i64>>(), "{seqs:?}");
    let verdict = service.verify("acme").await?;
    ensure!(verdict["valid"] == true && verdict["headSeq"] == 64, "{verdict}");
    Ok(())
}

#[tokio::test]
async fn a_flipped_byte_is_found_at_its_event() -> Result<()> {
    let service = Service::start().await?;
    fill(&service, 9).await?;
    service
        .damage(&[
            "update governance.audit_events set canonical = replace(canonical, 'happened', 'happenee')
                   where tenant_id = 'acme' and seq = 5",
        ])
        .await?;
    expect_fault(&service, 5, "changed").await
}

#[tokio::test]
async fn a_deleted_row_is_found_at_its_number() -> Result<()> {
    let service = Service::start().await?;
    fill(&service, 9).await?;
    service
        .damage(&["delete from governance.audit_events where tenant_id = 'acme' and seq = 4"])
        .await?;
    expect_fault(&service, 4, "missing").await
}

/// Cuts off what comes after an event and sets the head back, so that the database alone agrees with itself.
const CUT: [&str; 2] = [
    "delete from governance.audit_events where tenant_id = 'acme' and seq > 6",
    "update governance.audit_heads h set seq = 6, hash = e.hash from governance.audit_events e
     where h.tenant_id = 'acme' and e.tenant_id = 'acme' and e.seq = 6",
];

#[tokio::test]
async fn a_truncated_tail_is_found_by_a_checkpoint_and_without_one_verify_says_that_none_is_there() -> Result<()> {
    let service = Service::start().await?;
    fill(&service, 9).await?;
    checkpoint(&service).await?;
    service.damage(&CUT).await?;
    expect_fault(&service, 7, "truncated").await?;

    let bare = Service::start_on(Postgres::shared().await?, false).await?;
    fill(&bare, 9).await?;
    bare.damage(&CUT).await?;
    let verdict = bare.verify("acme").await?;
    ensure!(
        verdict["valid"] == true && verdict["anchor"]["state"] == "none",
        "{verdict}"
    );
    Ok(())
}

#[tokio::test]
async fn a_rewritten_chain_is_found_by_a_checkpoint_and_gets_no_further_one() -> Result<()> {
    let service = Service::start().await?;
    fill(&service, 3).await?;
    checkpoint(&service).await?;
    fill(&service, 3).await?;
    checkpoint(&service).await?;
    // All of it anew, with good hashes, as whoever owns the database could.
    service
        .damage(&[
            "delete from governance.audit_events where tenant_id = 'acme'",
            "delete from governance.audit_heads where tenant_id = 'acme'",
        ])
        .await?;
    fill(&service, 8).await?;
    expect_fault(&service, 1, "rewritten").await?;
    let anchor = service.state.anchor.as_ref().context("an anchor")?;
    let before = std::fs::read_to_string(anchor.path_of("acme"))?;
    checkpoint(&service).await?;
    ensure!(
        std::fs::read_to_string(anchor.path_of("acme"))? == before,
        "the rewriting was covered up"
    );
    Ok(())
}

#[tokio::test]
async fn a_chain_is_verified_in_parts_each_from_a_checkpoint() -> Result<()> {
    let service = Service::start().await?;
    for _ in 0..3 {
        fill(&service, 3).await?;
        checkpoint(&service).await?;
    }
    let lead = of_acme("ann", "TechLead");
    let part = async |query: &str| -> Result<Value> {
        let answer = service.get(lead, &format!("/api/v1/audit/verify?{query}")).await?;
        answer.expect(200)?;
        Ok(answer.body)
    };
    let first = part("limit=2").await?;
    ensure!(
        first["valid"] == true && first["complete"] == false && first["fromSeq"] == 1 && first["toSeq"] == 2,
        "{first}"
    );
    let middle = part("from=8&limit=2").await?;
    ensure!(
        middle["fromSeq"] == 6 && middle["toSeq"] == 7 && middle["complete"] == false,
        "{middle}"
    );
    service
        .get(lead, "/api/v1/audit/verify?from=2")
        .await?
        .expect_problem(400, "INVALID_PARAMETER")?;
    for query in ["limit=0", "limit=250001", "from=0", "to=3"] {
        service
            .get(lead, &format!("/api/v1/audit/verify?{query}"))
            .await?
            .expect_problem(400, "INVALID_PARAMETER")?;
    }
    service
        .damage(&[
            "update governance.audit_events set canonical = replace(canonical, 'happened', 'happenee')
                   where tenant_id = 'acme' and seq = 4",
        ])
        .await?;
    let later = part("from=6").await?;
    ensure!(later["valid"] == true && later["complete"] == true, "{later}");
    let from_three = part("from=5").await?;
    ensure!(
        from_three["valid"] == false && from_three["firstBadSeq"] == 4 && from_three["fromSeq"] == 3,
        "{from_three}"
    );
    expect_fault(&service, 4, "changed").await
}

#[tokio::test]
async fn a_file_that_cannot_be_written_costs_no_other_tenant_its_checkpoint() -> Result<()> {
    let service = Service::start().await?;
    for tenant in ["acme", "globex", "initech"] {
        append(&service.state.pool, tenant, "1").await?;
    }
    let anchor = service.state.anchor.as_ref().context("an anchor")?;
    // Whichever comes first.
    for (bad, good) in [("acme", "globex"), ("globex", "initech"), ("initech", "acme")] {
        let path = anchor.path_of(bad);
        if path.is_file() {
            std::fs::remove_file(&path)?;
        }
        std::fs::create_dir_all(&path)?;
        let _ = std::fs::remove_file(anchor.path_of(good));
        checkpoint(&service).await?;
        ensure!(
            anchor.path_of(good).is_file(),
            "{good} has no checkpoint for {bad}'s sake"
        );
        std::fs::remove_dir(&path)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_checkpoint_that_is_not_ours_is_found() -> Result<()> {
    let service = Service::start().await?;
    fill(&service, 3).await?;
    checkpoint(&service).await?;
    let good = service.verify("acme").await?;
    ensure!(
        good["anchor"]["state"] == "checked" && good["anchor"]["lastSeq"] == 3,
        "{good}"
    );
    let path = service.state.anchor.as_ref().context("an anchor")?.path_of("acme");
    let text = std::fs::read_to_string(&path)?;
    std::fs::write(&path, text.replace("\\\"seq\\\":3", "\\\"seq\\\":2"))?;
    let verdict = service.verify("acme").await?;
    ensure!(
        verdict["valid"] == false && verdict["fault"] == "checkpointForged",
        "{verdict}"
    );
    Ok(())
}

#[tokio::test]
async fn a_chain_without_checkpoints_is_verified_to_its_end_in_parts() -> Result<()> {
    let service = Service::start_on(Postgres::shared().await?, false).await?;
    fill(&service, 5).await?;
    let lead = of_acme("ann", "TechLead");
    let path = "/api/v1/audit/verify?limit=3";
    let part = async |cursor: &str| -> Result<Value> {
        let answer = service.get(lead, &format!("{path}&cursor={cursor}")).await?;
        answer.expect(200)?;
        Ok(answer.body)
    };
    let first = service.get(lead, path).await?.body;
    ensure!(first["complete"] == false && first["toSeq"] == 3, "{first}");
    let cursor = first["nextCursor"].as_str().context("there is more")?;
    let second = part(cursor).await?;
    ensure!(
        second["valid"] == true && second["fromSeq"] == 4 && second["toSeq"] == 6 && second["complete"] == true,
        "{second}"
    );
    ensure!(second.get("nextCursor").is_none(), "{second}");
    // A part stands on the one before it, whatever is there by then.
    service
        .damage(&[
            "update governance.audit_events set prev_hash = sha256(prev_hash) where tenant_id = 'acme' and seq = 4",
        ])
        .await?;
    let broken = part(cursor).await?;
    ensure!(broken["firstBadSeq"] == 4 && broken["fault"] == "unlinked", "{broken}");
    for (query, code) in [
        (format!("cursor={cursor}&from=1"), "INVALID_PARAMETER"),
        (format!("cursor=A{cursor}"), "INVALID_CURSOR"),
    ] {
        service
            .get(lead, &format!("/api/v1/audit/verify?{query}"))
            .await?
            .expect_problem(400, code)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_chain_that_has_not_grown_gets_no_second_checkpoint_also_after_a_restart() -> Result<()> {
    let service = Service::start().await?;
    fill(&service, 2).await?;
    let anchor = service.state.anchor.as_ref().context("an anchor")?;
    for _ in 0..3 {
        // Nothing is remembered of the turn before.
        checkpoint(&service).await?;
        let lines = std::fs::read_to_string(anchor.path_of("acme"))?.lines().count();
        ensure!(lines == 1, "{lines} checkpoints of one event");
    }
    Ok(())
}
