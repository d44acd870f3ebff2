//! `GET /api/v1/audit/verify`: whether the tenant's chain is what was written.

use axum::Json;
use axum::extract::State as Shared;
use serde::Serialize;
use serde_json::{Map, json};
use utoipa::ToSchema;

use aeterna_kit::auth::Caller;
use aeterna_kit::problem::{Code, Problem};

use crate::admission::Admitted;
use crate::audit::chain::{Break, Fault, Walk};
use crate::audit::checkpoint::Checkpoint;
use crate::audit::hex;
use crate::origin::Origin;
use crate::rbac::action;
use crate::state::State;
use crate::store::audit::{Head, fetch_head, fetch_links};
use crate::store::{OrProblem as _, Scoped};

/// Events read at once.
const PAGE: i64 = 2_000;

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ChainVerdict)]
pub struct Verdict {
    /// The chain is whole, as far as can be told.
    pub valid: bool,
    /// The number of the chain's last event.
    pub head_seq: i64,
    /// Its hash.
    pub head_hash: String,
    /// The first number that is bad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_bad_seq: Option<i64>,
    /// What is wrong there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// What the chain was held against.
    pub anchor: Held,
}

/// Checkpoints outside of the database.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// `checked`, or `none`: no checkpoint is kept, and a chain rewritten or cut off as a whole would pass.
    pub state: &'static str,
    /// How many checkpoints there are.
    pub checkpoints: usize,
    /// The number that the last one covers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seq: Option<i64>,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_at: Option<String>,
    /// The key they are signed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
}

/// Verifies the tenant's chain from its beginning.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/audit/verify", tag = "audit",
    responses(
        (status = 200, description = "What was found, good or bad", body = Verdict),
        (status = 403, description = "The caller is no TechLead"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn verify(caller: Caller, origin: Origin, Shared(state): Shared<State>) -> Result<Json<Verdict>, Problem> {
    let tenant = caller.scope.tenant().as_str();
    let mut desk = Admitted::open(&state, &caller, origin, action::AUDIT_VERIFY, tenant).await?;
    // Before the head is read: a checkpoint made meanwhile would know more than what is walked.
    let marks = fetch_marks(&state, tenant).await?;
    let (head, found) = match &marks {
        Ok(marks) => walk(&mut desk.tx, marks).await?,
        Err(fault) => (fetch_head(&mut desk.tx).await.or_problem()?, Some((None, *fault))),
    };
    let marks = marks.unwrap_or_default();
    let (first_bad_seq, fault) = found.map_or((None, None), |(seq, fault)| (seq, Some(fault)));
    let verdict = Verdict {
        valid: fault.is_none(),
        head_seq: head.seq,
        head_hash: hex(&head.hash),
        first_bad_seq,
        fault,
        anchor: Held {
            state: if marks.is_empty() { "none" } else { "checked" },
            checkpoints: marks.len(),
            last_seq: marks.last().map(|mark| mark.seq),
            last_at: marks.last().map(|mark| mark.at.clone()),
            key_id: state.anchor.as_ref().map(|anchor| anchor.key_id().to_owned()),
        },
    };
    let details = Map::from_iter([
        ("valid".to_owned(), json!(verdict.valid)),
        ("firstBadSeq".to_owned(), json!(first_bad_seq)),
    ]);
    desk.note("audit.verify", ("Audit", tenant), details).await?;
    desk.close().await?;
    Ok(Json(verdict))
}

type Found = (Option<i64>, Fault);

async fn fetch_marks(state: &State, tenant: &str) -> Result<Result<Vec<Checkpoint>, Fault>, Problem> {
    let Some(anchor) = &state.anchor else {
        return Ok(Ok(Vec::new()));
    };
    let marks = anchor
        .fetch(tenant)
        .await
        .map_err(|error| Problem::hiding(Code::Internal, "the checkpoints cannot be read", &error))?;
    Ok(marks.map_err(|_| Fault::CheckpointForged))
}

/// Walks the chain to its end. The head is read after the events before it: what was appended meanwhile is walked as well,
/// and a head that is behind its events has been set back.
async fn walk(tx: &mut Scoped, marks: &[Checkpoint]) -> Result<(Head, Option<Found>), Problem> {
    let tenant = tx.tenant().to_owned();
    let mut walk = Walk::begin(&tenant, marks);
    let place = |found: Break| (Some(found.seq), found.fault);
    let mut head = fetch_head(tx).await.or_problem()?;
    let mut after = 0;
    loop {
        let links = fetch_links(tx, after, i64::MAX, PAGE).await.or_problem()?;
        for link in &links {
            if let Err(found) = walk.step(link) {
                return Ok((head, Some(place(found))));
            }
        }
        if let Some(last) = links.last() {
            after = last.seq;
            head = fetch_head(tx).await.or_problem()?;
            if head.seq > after {
                continue;
            }
        }
        let found = walk.end(head.seq, &head.hash).err().map(place);
        return Ok((head, found));
    }
}
