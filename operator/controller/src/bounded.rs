//! A pass's bounds in time, and its numbers under controller-runtime's names.

use std::future::Future;
use std::time::Duration;

use kube::runtime::controller::Action;
use tokio::time::Instant;

/// The longest pass over one object.
const DEADLINE: Duration = Duration::from_secs(30);

/// The longest that telling of a late pass may take.
const TELLING: Duration = Duration::from_secs(5);

/// A pass was ended, for it took too long.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the pass took longer than {} s", DEADLINE.as_secs())]
pub struct Late;

/// Bounds a pass in time and counts it; `tell` says in the object's status that it was late.
///
/// # Errors
/// The pass's own, or [`Late`].
pub async fn bounded<E, T>(
    controller: &'static str,
    pass: impl Future<Output = Result<Action, E>>,
    tell: impl FnOnce(Late) -> T,
) -> Result<Action, E>
where
    E: From<Late> + std::error::Error,
    T: Future<Output = Result<(), E>>,
{
    let started = Instant::now();
    let outcome = tokio::time::timeout(DEADLINE, pass).await;
    metrics::histogram!("controller_runtime_reconcile_time_seconds", "controller" => controller)
        .record(started.elapsed());
    let result = match &outcome {
        Ok(Ok(_)) => "success",
        Ok(Err(_)) => "error",
        Err(_) => "late",
    };
    metrics::counter!("controller_runtime_reconcile_total", "controller" => controller, "result" => result)
        .increment(1);
    let Ok(done) = outcome else {
        if let Ok(Err(error)) = tokio::time::timeout(TELLING, tell(Late)).await {
            tracing::warn!(controller, %error, "a late pass could not be told");
        }
        return Err(Late.into());
    };
    done
}
