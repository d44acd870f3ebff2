//! Starts jobs whose time has come, and those of deliveries that wait.
//!
//! Every instance looks; who moves a schedule on starts its job, in one transaction, so one time is one job. A delivery that
//! met an active job has its own when that one is over. What fails is
//! looked at again a second later, and nothing is lost: the time that has come stands in the row.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Notify;

use crate::schedule::Times;
use crate::store::{self, Due, Recorded};

/// Between two looks: a schedule is exact to a second.
const LOOK: Duration = Duration::from_secs(1);

/// Schedules of one look.
const AT_ONCE: i64 = 64;

/// Looks for due schedules until the process ends.
pub async fn run(pool: PgPool, wake: Arc<Notify>) {
    loop {
        match fire_due(&pool).await {
            Ok(0) => {}
            Ok(_) => wake.notify_one(),
            Err(error) => tracing::warn!(%error, "schedules cannot be looked at"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Fires the schedules that are due and the webhooks that wait; returns how many jobs it started.
///
/// # Errors
/// When the database does not answer.
pub async fn fire_due(pool: &PgPool) -> Result<usize, store::Error> {
    let mut started = 0;
    for due in store::fetch_due(pool, AT_ONCE).await? {
        // One schedule that cannot be fired keeps no other from its time.
        match fire(pool, &due).await {
            Ok(is_started) => started += usize::from(is_started),
            Err(error) => tracing::warn!(connection = %due.connection, %error, "a schedule cannot be fired"),
        }
    }
    for (scope, connection) in store::fetch_pending(pool, AT_ONCE).await? {
        match store::follow_up(pool, &scope, connection).await {
            Ok(is_started) => started += usize::from(is_started),
            Err(error) => tracing::warn!(%connection, %error, "a delivery cannot be followed up"),
        }
    }
    Ok(started)
}

async fn fire(pool: &PgPool, due: &Due) -> Result<bool, store::Error> {
    let times = Times::parse(&due.cron, &due.timezone);
    let following = times.ok().and_then(|times| times.follow(due.next_run_at, due.now));
    if following.is_none() {
        tracing::warn!(connection = %due.connection, cron = due.cron, "a schedule has no time to come, and is paused");
    }
    let recorded = store::fire(pool, due, following).await?;
    let outcome = match recorded {
        Some(Recorded::New(_)) => "started",
        Some(Recorded::Busy(_)) => "busy",
        Some(Recorded::Same(_) | Recorded::KeyTaken(_) | Recorded::NoConnection) | None => "elsewhere",
    };
    metrics::counter!("sync_schedules_fired_total", "outcome" => outcome).increment(1);
    Ok(outcome == "started")
}
