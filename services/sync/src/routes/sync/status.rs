//! `GET /api/v1/sync/status/{id}`: one job, now, when it is over, or as it goes on.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State as Shared;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, StreamExt as _, stream};
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::IntoParams;
use uuid::Uuid;

use aeterna_kit::auth::{Caller, TenantScope};
use aeterna_kit::http::extract::{Path, Query};
use aeterna_kit::problem::{Code, Problem};

use super::no_job;
use crate::job::Job;
use crate::state::State;
use crate::store;
use crate::streams::Place;

/// The longest wait of one request; the stack's deadline of 15 s comes after it.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The longest stream; a client that wants more asks again.
const LONGEST_STREAM: Duration = Duration::from_mins(15);

/// Between two looks at a job that somebody waits for.
const LOOK: Duration = Duration::from_millis(250);

/// How to look.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Answer when the job is over, or after so long: `5s`, `500ms`; at most 10 s.
    wait: Option<String>,
}

/// Returns a job. With `Accept: text/event-stream` it is a stream of events named `status`, one for each change, that ends
/// with the job.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/sync/status/{id}", tag = "sync",
    params(("id" = Uuid, Path, description = "The job's id"), Parameters),
    responses(
        (status = 200, description = "The job", content((Job = "application/json"), (String = "text/event-stream"))),
        (status = 400, description = "A parameter does not fit"),
        (status = 404, description = "The tenant has no such job"),
        (status = 503, description = "The database is away, or there are too many streams; see Retry-After"),
    )
)]
pub async fn status(
    caller: Caller,
    Shared(state): Shared<State>,
    Path(id): Path<Uuid>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wait = parameters.wait.as_deref().map(read_wait).transpose()?;
    let job = store::fetch(&state.pool, &caller.scope, id)
        .await?
        .ok_or_else(|| no_job(id))?;
    if wants_events(&headers) {
        let place = state.streams.enter(caller.scope.tenant()).ok_or_else(|| {
            let message = "this instance serves as many streams as it can, or as one tenant may have; ask with wait instead, or \
                           again soon";
            Problem::new(Code::Unavailable, message)
        })?;
        let events = watch(state, caller.scope, job, place);
        return Ok(Sse::new(events).keep_alive(KeepAlive::default()).into_response());
    }
    let job = wait_for_end(&state, &caller.scope, job, wait.unwrap_or_default()).await?;
    Ok(axum::Json(job).into_response())
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| {
        accepted
            .split([',', ';'])
            .any(|kind| kind.trim() == "text/event-stream")
    })
}

/// Reads `10s`, `500ms` or `10`.
fn read_wait(text: &str) -> Result<Duration, Problem> {
    let (number, unit) = text.split_at(text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len()));
    let number: Option<u64> = number.parse().ok();
    let wait = match (number, unit) {
        (Some(number), "s" | "") => Duration::from_secs(number),
        (Some(number), "ms") => Duration::from_millis(number),
        (None | Some(_), _) => {
            let message = "wait is a number of seconds or milliseconds, such as 5s or 500ms";
            return Err(Problem::field(Code::InvalidParameter, "wait", message));
        }
    };
    Ok(wait.min(LONGEST_WAIT))
}

async fn wait_for_end(state: &State, scope: &TenantScope, mut job: Job, wait: Duration) -> Result<Job, Problem> {
    let deadline = Instant::now() + wait;
    while !job.status.is_terminal() && Instant::now() < deadline {
        tokio::time::sleep(LOOK.min(deadline - Instant::now())).await;
        job = store::fetch(&state.pool, scope, job.id)
            .await?
            .ok_or_else(|| no_job(job.id))?;
    }
    Ok(job)
}

/// Yields the job, and again after each change, until it is over or the process is about to end. Its place is free when it is
/// dropped.
fn watch(state: State, scope: TenantScope, first: Job, place: Place) -> impl Stream<Item = Result<Event, Infallible>> {
    let begun = Instant::now();
    let later = stream::unfold((first.clone(), place), move |(last, place)| {
        let (state, scope) = (state.clone(), scope.clone());
        async move {
            let mut leaving = state.leaving.subscribe();
            while !last.status.is_terminal() && begun.elapsed() < LONGEST_STREAM {
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    _ = leaving.wait_for(|leaving| *leaving) => break,
                }
                match store::fetch(&state.pool, &scope, last.id).await {
                    Ok(Some(job)) if job.revision != last.revision => return Some((job.clone(), (job, place))),
                    Ok(Some(_)) => {}
                    // The client sees the end of the stream, and asks again.
                    Ok(None) | Err(_) => break,
                }
            }
            None
        }
    });
    stream::once(std::future::ready(first)).chain(later).map(|job| {
        let event = Event::default().event("status").id(job.revision.to_string());
        // A job is plain data: it can always be written.
        Ok(event.json_data(&job).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_number_with_a_unit_and_never_longer_than_the_deadline_allows() {
        assert_eq!(read_wait("5s").expect("read"), Duration::from_secs(5));
        assert_eq!(read_wait("5").expect("read"), Duration::from_secs(5));
        assert_eq!(read_wait("500ms").expect("read"), Duration::from_millis(500));
        assert_eq!(read_wait("30s").expect("read"), LONGEST_WAIT);
        for text in ["", "s", "-1s", "5m", "5 s", "99999999999999999999s"] {
            assert_eq!(read_wait(text).expect_err(text).code, Code::InvalidParameter);
        }
    }
}
