//! Background tasks that do not die unnoticed.

use std::future::Future;

use tokio::task::JoinHandle;

/// Spawns a task under a name; a panic in it is logged and counted.
///
/// For work that ends by itself. Work that must never end is spawned with [`spawn_forever`].
pub fn spawn<F>(name: &'static str, task: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        if let Err(error) = tokio::spawn(task).await {
            metrics::counter!("background_task_failures_total", "task" => name).increment(1);
            tracing::error!(task = name, %error, "a background task failed");
        }
    })
}

/// Spawns a task that must run as long as the process; when it ends, so does the process, and is started again.
pub fn spawn_forever<F>(name: &'static str, task: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        let ended = tokio::spawn(task).await;
        tracing::error!(task = name, ?ended, "a task that must not end has ended");
        std::process::exit(1);
    })
}
