//! `GET /api/v1/audit/verify`: whether the tenant's chain is what was written.

use std::fmt;
use std::str::FromStr;

use axum::Json;
use axum::extract::State as Shared;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use utoipa::{IntoParams, ToSchema};

use aeterna_kit::auth::Caller;
use aeterna_kit::hex::hex;
use aeterna_kit::http::extract::Query;
use aeterna_kit::page;
use aeterna_kit::problem::{Code, Problem};

use crate::admission::Admitted;
use crate::audit::chain::{Break, Fault, Walk};
use crate::audit::checkpoint::Checkpoint;
use crate::origin::Origin;
use crate::rbac::action;
use crate::state::State;
use crate::store::audit::{Head, fetch_head, fetch_links};
use crate::store::{OrProblem as _, Scoped};

/// Events read at once.
const PAGE: i64 = 2_000;

/// Events of one verification: what is usual, and the most. A hundred thousand take about two seconds, and a request has
/// fifteen.
const EVENTS: (i64, i64) = (100_000, 250_000);

/// Which part of the chain.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// From which number on: the walk begins at the last checkpoint at or before it, and takes what is before that to be as
    /// it was then. From the beginning unless said.
    #[param(minimum = 1)]
    pub from: Option<i64>,
    /// Where the part before ended, in the place of `from`: the walk goes on behind it, and needs no checkpoint there.
    pub cursor: Option<String>,
    /// How many events to walk, 1 to 250000; 100000 unless said.
    #[param(minimum = 1, maximum = 250_000)]
    pub limit: Option<i64>,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ChainVerdict)]
pub struct Verdict {
    /// What was walked is whole, as far as can be told.
    pub valid: bool,
    /// The walk came to the chain's end, or to what is bad. If not, the next part is asked for with `nextCursor`.
    pub complete: bool,
    /// Where the next part begins; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// The first number that was walked.
    pub from_seq: i64,
    /// The last number that was found good.
    pub to_seq: i64,
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

/// Verifies the tenant's chain from its beginning, or a part of it.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    get, path = "/api/v1/audit/verify", tag = "audit", params(Parameters),
    responses(
        (status = 200, description = "What was found, good or bad", body = Verdict),
        (status = 400, description = "A parameter does not fit, there is no checkpoint at or before `from`, or the cursor is of another chain"),
        (status = 403, description = "The caller is no TechLead"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn verify(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    Query(asked): Query<Parameters>,
) -> Result<Json<Verdict>, Problem> {
    let tenant = caller.scope.tenant().as_str();
    let limit = check(&asked)?;
    let parts = page::List::new(caller.scope.tenant(), "audit.verify");
    let before: Option<Place> = parts.place(asked.cursor.as_deref())?;
    let mut desk = Admitted::open(&state, &caller, origin, action::AUDIT_VERIFY, tenant).await?;
    // Before the head is read: a checkpoint made meanwhile would know more than what is walked.
    let marks = fetch_marks(&state, tenant).await?;
    let walked = match &marks {
        Ok(marks) => {
            let walk = match (&before, asked.from) {
                (Some(Place { seq, hash }), _) => Walk::go_on(tenant, marks, *seq, hash.clone()),
                (None, Some(from)) => Walk::resume(tenant, marks, find_mark(marks, from)?),
                (None, None) => Walk::begin(tenant, marks),
            };
            go(&mut desk.tx, walk, limit).await?
        }
        Err(fault) => Walked {
            from: 1,
            to: 0,
            head: fetch_head(&mut desk.tx).await.or_problem()?,
            end: End::Bad(None, *fault),
            place: None,
        },
    };
    let marks = marks.unwrap_or_default();
    let (first_bad_seq, fault) = match walked.end {
        End::Bad(seq, fault) => (seq, Some(fault)),
        End::Reached | End::Limit => (None, None),
    };
    let verdict = Verdict {
        valid: fault.is_none(),
        complete: walked.end != End::Limit,
        next_cursor: walked.place.map(|place| parts.cursor(&place.to_string())),
        from_seq: walked.from,
        to_seq: walked.to,
        head_seq: walked.head.seq,
        head_hash: hex(&walked.head.hash),
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
        ("fromSeq".to_owned(), json!(walked.from)),
        ("toSeq".to_owned(), json!(walked.to)),
    ]);
    desk.note("audit.verify", ("Audit", tenant), details).await?;
    desk.close().await?;
    Ok(Json(verdict))
}

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// At the chain's end, and all was good.
    Reached,
    /// It was long enough.
    Limit,
    /// Something is bad, at a number or everywhere.
    Bad(Option<i64>, Fault),
}

/// What was walked.
#[derive(Debug)]
struct Walked {
    from: i64,
    to: i64,
    head: Head,
    end: End,
    /// Where to go on, of a walk that ended at its limit.
    place: Option<Place>,
}

/// Where a part ended: the number of its last event, and its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    seq: i64,
    hash: Vec<u8>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.seq, BASE64.encode(&self.hash))
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (seq, hash) = text.split_once(' ').ok_or(())?;
        // An event comes after it: there is no last number.
        let seq: i64 = seq.parse().map_err(|_| ())?;
        Ok(Self {
            seq: if (0..i64::MAX).contains(&seq) {
                seq
            } else {
                return Err(());
            },
            hash: BASE64.decode(hash).map_err(|_| ())?,
        })
    }
}

fn check(asked: &Parameters) -> Result<i64, Problem> {
    let (usual, most) = EVENTS;
    let limit = asked.limit.unwrap_or(usual);
    if !(1..=most).contains(&limit) {
        return Err(Problem::field(Code::InvalidParameter, "limit", "1 to 250000"));
    }
    if asked.from.is_some() && asked.cursor.is_some() {
        return Err(Problem::field(
            Code::InvalidParameter,
            "from",
            "from or cursor, and not both",
        ));
    }
    if asked.from.is_some_and(|from| from < 1) {
        return Err(Problem::field(Code::InvalidParameter, "from", "1 or more"));
    }
    Ok(limit)
}

/// Finds the last checkpoint at or before a number: its place among all.
fn find_mark(marks: &[Checkpoint], from: i64) -> Result<usize, Problem> {
    let before = marks.partition_point(|mark| mark.seq <= from);
    before.checked_sub(1).ok_or_else(|| {
        let message = match marks.first() {
            Some(first) => format!("the first checkpoint is at {}, which is after {from}", first.seq),
            None => "there is no checkpoint; without one a chain is verified from its beginning".to_owned(),
        };
        Problem::field(Code::InvalidParameter, "from", message)
    })
}

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

/// Walks on to the chain's end, or as far as the limit. The head is read after the events before it: what was appended
/// meanwhile is walked as well, and a head that is behind its events has been set back.
async fn go(tx: &mut Scoped, mut walk: Walk<'_>, limit: i64) -> Result<Walked, Problem> {
    let bad = |found: Break| End::Bad(Some(found.seq), found.fault);
    let begun = walk.seq();
    let mut head = fetch_head(tx).await.or_problem()?;
    let end = loop {
        let left = limit - (walk.seq() - begun);
        if left == 0 {
            break End::Limit;
        }
        let links = fetch_links(tx, walk.seq(), i64::MAX, left.min(PAGE))
            .await
            .or_problem()?;
        if let Some(found) = links.iter().find_map(|link| walk.step(link).err()) {
            break bad(found);
        }
        if !links.is_empty() {
            head = fetch_head(tx).await.or_problem()?;
            if head.seq > walk.seq() {
                continue;
            }
        }
        let to = walk.seq();
        return Ok(Walked {
            from: begun + 1,
            to,
            end: walk.end(head.seq, &head.hash).map_or_else(bad, |_| End::Reached),
            head,
            place: None,
        });
    };
    let place = |hash: &[u8]| Place {
        seq: walk.seq(),
        hash: hash.to_vec(),
    };
    Ok(Walked {
        from: begun + 1,
        to: walk.seq(),
        head,
        place: walk.hash().filter(|_| end == End::Limit).map(place),
        end,
    })
}
