//! A role that is taken away while votes are counted: one waits for the other, in either order.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::approvals::{ANN, BOB, ask, asked, status, vote, with_architects};
use super::service::{Service, of_acme};
use crate::api::service::Answer;
use crate::knowledge::service::wait_until;

async fn revoke(service: &Service) -> Result<Answer> {
    let body = json!({"principal": "ann", "role": "Architect"});
    service
        .post(of_acme("root", "Admin"), "/api/v1/roles/revoke", &body)
        .await
}

/// Waits until a statement of the service waits for a lock.
async fn someone_waits(service: &Service, for_what: &str) -> Result<()> {
    wait_until("a statement waits", async || {
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock' and query like '%' || $1 || '%'",
        )
        .bind(for_what)
        .fetch_one(&service.root)
        .await?;
        Ok(waiting > 0)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_waits_for_a_role_that_is_being_taken_away_and_does_not_count_it() -> Result<()> {
    let service = with_architects().await?;
    let request = ask(&service, &asked("high")).await?;
    vote(&service, ANN, &request, "approve").await?.expect(200)?;
    let mut taking = service.root.begin().await?;
    sqlx::query("update governance.role_assignments set state = 'revoked' where principal = 'ann'")
        .execute(&mut *taking)
        .await?;
    let taken = async {
        someone_waits(&service, "role_assignments").await?;
        taking.commit().await?;
        anyhow::Ok(())
    };
    let (second, taken) = tokio::join!(vote(&service, BOB, &request, "approve"), taken);
    taken?;
    let second = second?;
    ensure!(
        second.body["request"]["status"] == "pending" && second.body["quorum"]["approved"] == 1,
        "{}",
        second.text
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_taken_away_after_the_count_that_it_was_part_of() -> Result<()> {
    let service = with_architects().await?;
    let request = ask(&service, &asked("high")).await?;
    vote(&service, ANN, &request, "approve").await?.expect(200)?;
    // The vote has counted, and waits for the log.
    let mut log = service.root.begin().await?;
    sqlx::query("select from governance.audit_heads for update")
        .execute(&mut *log)
        .await?;
    let revoked = async {
        someone_waits(&service, "lock_audit_head").await?;
        let done = async {
            someone_waits(&service, "insert into governance.role_assignments").await?;
            log.commit().await?;
            anyhow::Ok(())
        };
        let (revoked, done) = tokio::join!(revoke(&service), done);
        done?;
        revoked?.expect(200)
    };
    let both = async { tokio::join!(vote(&service, BOB, &request, "approve"), revoked) };
    let (second, revoked) = tokio::time::timeout(Duration::from_secs(60), both).await?;
    revoked?;
    let second = second?;
    ensure!(second.body["request"]["status"] == "approved", "{}", second.text);
    ensure!(status(&service, &request).await? == "approved");
    Ok(())
}
