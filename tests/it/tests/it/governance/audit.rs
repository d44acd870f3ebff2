//! The audit log: its chain, what is done to it, and how it is read.

use std::collections::BTreeMap;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::ids::TenantId;
use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use governance_service::audit::{Actor, Event, Outcome};
use governance_service::store::{self, Scoped};
use governance_service::worker::checkpoints;
use reqwest::Method;
use serde_json::{Map, Value};

use super::service::{Service, Who, of_acme};
use crate::api::service::send;
use aeterna_testkit::Postgres;

async fn append(service: &Service, tenant: &str, target: &str) -> Result<i64> {
    let scope = TenantScope::for_worker(TenantId::parse(tenant)?);
    let mut tx = Scoped::open(&service.state.pool, &scope).await?;
    let event = Event {
        actor: Actor::system(),
        action: "test.happened".to_owned(),
        target: ("Thing", target.to_owned()),
        outcome: Outcome::Allow,
        decision_id: None,
        details: Map::new(),
    };
    let seq = store::audit::append(&mut tx, &event).await?;
    tx.commit().await?;
    Ok(seq)
}

async fn fill(service: &Service, count: i64) -> Result<()> {
    for n in 1..=count {
        append(service, "acme", &n.to_string()).await?;
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
    let writers = (0..64).map(|n| {
        let (service, tenant) = (&service, if n % 2 == 0 { "acme" } else { "globex" });
        async move { append(service, tenant, &n.to_string()).await }
    });
    let mut seqs = try_join_all(writers).await?;
    seqs.sort_unstable();
    let twice: Vec<i64> = (1..=32).flat_map(|seq| [seq, seq]).collect();
    ensure!(seqs == twice, "{seqs:?}");
    for tenant in ["acme", "globex"] {
        let verdict = service.verify(tenant).await?;
        ensure!(verdict["valid"] == true && verdict["headSeq"] == 32, "{verdict}");
    }
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
    for query in ["limit=0", "limit=1000001", "from=0", "to=3"] {
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
        append(&service, tenant, "1").await?;
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
async fn what_agents_did_for_somebody_is_found() -> Result<()> {
    let service = Service::start().await?;
    for human in ["ann", "bob"] {
        let bot = service.request(Method::GET, "/api/v1/policies", of_acme("bot", ""));
        send(bot.header("X-On-Behalf-Of", human))
            .await?
            .expect_problem(403, "FORBIDDEN")?;
    }
    let told = service.events("onBehalfOf=ann").await?;
    ensure!(told.len() == 1 && told[0]["actor"]["id"] == "bot", "{told:?}");
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
async fn the_app_role_can_only_add_and_even_a_superuser_does_not_change_it_by_mistake() -> Result<()> {
    let service = Service::start().await?;
    fill(&service, 2).await?;
    for statement in [
        "update governance.audit_events set canonical = '{}'",
        "delete from governance.audit_events",
        "truncate governance.audit_events",
        "delete from governance.audit_heads",
        "truncate governance.audit_heads",
        "update governance.audit_heads set seq = 1",
    ] {
        for enter in [
            "set local role aeterna_app; set local app.tenant_id = 'acme'",
            "reset role",
        ] {
            let mut tx = service.root.begin().await?;
            sqlx::raw_sql(enter).execute(&mut *tx).await?;
            let refused = sqlx::query(statement).execute(&mut *tx).await;
            let code = refused
                .err()
                .and_then(|error| Some(error.as_database_error()?.code()?.into_owned()));
            ensure!(code.as_deref() == Some("42501"), "{enter}: {statement}: {code:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn reading_is_an_event_and_pages_do_not_overlap() -> Result<()> {
    let service = Service::start().await?;
    fill(&service, 25).await?;
    let ann = of_acme("ann", "TechLead");
    let mut seen = Vec::new();
    let mut path = "/api/v1/audit?action=test.happened&limit=10".to_owned();
    loop {
        let page = service.get(ann, &path).await?;
        page.expect(200)?;
        seen.extend(
            page.body["items"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|item| item["seq"].as_i64()),
        );
        let Some(next) = page.body["nextCursor"].as_str() else {
            break;
        };
        path = format!("/api/v1/audit?action=test.happened&limit=10&cursor={next}");
    }
    ensure!(seen == (1..=25).rev().collect::<Vec<_>>(), "{seen:?}");
    let read = service.events("action=audit.read&actor=ann").await?;
    ensure!(
        read.len() == 3 && read[0]["details"]["action"] == "test.happened",
        "{read:?}"
    );
    ensure!(service.verify("acme").await?["valid"] == true);
    Ok(())
}

#[tokio::test]
async fn the_log_is_exported_as_lines_and_as_a_table() -> Result<()> {
    let service = Service::start().await?;
    fill(&service, 3).await?;
    let lead = of_acme("ann", "TechLead");
    let lines = service
        .get(lead, "/api/v1/audit?format=ndjson&action=test.happened&limit=2")
        .await?;
    ensure!(
        lines.headers["content-type"] == "application/x-ndjson" && lines.text.lines().count() == 2,
        "{}",
        lines.text
    );
    ensure!(lines.headers.contains_key("x-next-cursor"));
    let table = service
        .get(lead, "/api/v1/audit?format=csv&action=test.happened")
        .await?;
    ensure!(
        table.text.starts_with("seq,at,") && table.text.lines().count() == 4,
        "{}",
        table.text
    );
    Ok(())
}

#[tokio::test]
async fn who_may_not_read_is_refused_and_that_is_told() -> Result<()> {
    let service = Service::start().await?;
    let refused = service.get(of_acme("bob", "Developer"), "/api/v1/audit").await?;
    refused.expect_problem(403, "FORBIDDEN")?;
    let told = service.events("actor=bob&outcome=deny").await?;
    ensure!(told.len() == 1 && told[0]["action"] == "audit.read", "{told:?}");
    let decision = told[0]["decisionId"].as_str().context("no decision")?;
    ensure!(refused.text.contains(decision), "{}", refused.text);
    Ok(())
}

#[tokio::test]
async fn a_parameter_that_does_not_fit_is_refused() -> Result<()> {
    let service = Service::start().await?;
    fill(&service, 3).await?;
    let lead = of_acme("ann", "TechLead");
    let page = service.get(lead, "/api/v1/audit?limit=1").await?;
    let cursor = page.body["nextCursor"].as_str().context("a next page")?;
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "format=xml",
        "outcome=maybe",
        "via=pigeon",
        "actor=",
        "actor=%00",
        "since=yesterday",
        "colour=red",
        "cursor=abc",
        &format!("cursor={cursor}&action=other"),
        &format!("cursor=A{cursor}"),
    ] {
        let code = if query.starts_with("cursor") {
            "INVALID_CURSOR"
        } else {
            "INVALID_PARAMETER"
        };
        service
            .get(lead, &format!("/api/v1/audit?{query}"))
            .await?
            .expect_problem(400, code)
            .map_err(|error| error.context(query.to_owned()))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_tenant_reads_nothing_of_another() -> Result<()> {
    let service = Service::start().await?;
    fill(&service, 3).await?;
    let stranger = Who {
        tenant: "globex",
        subject: "eve",
        roles: "PlatformAdmin",
    };
    let page = service.get(stranger, "/api/v1/audit").await?;
    page.expect(200)?;
    ensure!(
        page.body["items"] == serde_json::json!([]) && page.body["chain"]["headSeq"] == 0,
        "{}",
        page.text
    );
    Ok(())
}
