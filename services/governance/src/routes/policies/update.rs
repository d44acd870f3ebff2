//! `PUT /api/v1/policies/{id}`: a new version.

use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use uuid::Uuid;

use aeterna_kit::auth::Caller;
use aeterna_kit::http::extract::{Json, Path};
use aeterna_kit::problem::{Code, Problem};

use super::view::{View, absent, check, check_room, if_match, require_version, show_changed};
use crate::admission::Admitted;
use crate::origin::Origin;
use crate::policy::Document;
use crate::rbac::action;
use crate::state::State;
use crate::store::OrProblem as _;
use crate::store::policies;

/// Makes a new version, which is in force from then on. Name, type, layer and scope stay.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    put, path = "/api/v1/policies/{id}", tag = "policies", request_body = Document,
    params(
        ("id" = Uuid, Path, description = "The policy's id"),
        ("If-Match" = String, Header, description = "The ETag of the version that is changed"),
    ),
    responses(
        (status = 200, description = "The new version; of a dry run, as it would be", body = View),
        (status = 403, description = "The caller may not"),
        (status = 404, description = "The tenant has no such policy"),
        (status = 412, description = "Another version is in force"),
        (status = 422, description = "A field, a rule or the text does not fit; errors have line and column"),
        (status = 428, description = "If-Match is missing"),
        (status = 503, description = "The database is away; see Retry-After"),
    )
)]
pub async fn update(
    caller: Caller,
    origin: Origin,
    Shared(state): Shared<State>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    Json(document): Json<Document>,
) -> Result<Response, Problem> {
    let expected = if_match(&headers)?;
    let mut desk = Admitted::open(&state, &caller, origin, action::POLICY_UPDATE, &id.to_string()).await?;
    check(&document).await?;
    let current = policies::lock(&mut desk.tx, id)
        .await
        .or_problem()?
        .ok_or_else(|| absent(id))?;
    require_version(current.version, expected)?;
    check_same(&current.document, &document)?;
    let stored = policies::add_version(&mut desk.tx, id, expected + 1, &document, &caller.subject)
        .await
        .or_problem()?;
    check_room(&mut desk.tx, &stored).await?;
    let view = show_changed(&mut desk.tx, stored).await?;
    if document.dry_run {
        // The transaction is dropped, and with it all that it did.
        return Ok(view.respond(StatusCode::OK));
    }
    desk.note("policy.update", ("Policy", &id.to_string()), view.details())
        .await?;
    desk.close().await?;
    Ok(view.respond(StatusCode::OK))
}

/// What a policy is does not change.
fn check_same(old: &Document, new: &Document) -> Result<(), Problem> {
    let fields = [
        ("/name", old.name == new.name),
        ("/type", old.kind == new.kind),
        ("/layer", old.layer == new.layer),
        ("/scope", old.scope == new.scope),
    ];
    match fields.into_iter().find(|(_, same)| !same) {
        Some((pointer, _)) => Err(Problem::field(
            Code::InvalidBody,
            pointer,
            "this does not change; make another policy and archive this one",
        )),
        None => Ok(()),
    }
}
