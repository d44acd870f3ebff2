//! Work that takes long without waiting for anything: parsing, compiling, matching, checking signatures.

use aeterna_kit::problem::{Code, Problem};

/// Does it on a thread where no other request waits for it.
///
/// # Errors
/// [`Code::Internal`] when it was lost with its thread.
pub async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Problem::hiding(Code::Internal, "the work was cut off", &error))
}
