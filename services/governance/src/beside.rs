//! Work that takes long without waiting for anything: parsing, compiling, matching, checking signatures.

use tokio::sync::Semaphore;

use aeterna_kit::problem::{Code, Problem};

/// Places for such work: what nobody waits for any more goes on to its end, and takes a place so long.
static PLACES: Semaphore = Semaphore::const_new(4);

/// Does it on a thread where no other request waits for it, when it has a place.
///
/// # Errors
/// [`Code::Internal`] when it was lost with its thread.
pub async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let cut_off = |error: &dyn std::error::Error| Problem::hiding(Code::Internal, "the work was cut off", &error);
    let place = PLACES.acquire().await.map_err(|closed| cut_off(&closed))?;
    let in_place = move || {
        let _place = place;
        work()
    };
    tokio::task::spawn_blocking(in_place)
        .await
        .map_err(|lost| cut_off(&lost))
}
