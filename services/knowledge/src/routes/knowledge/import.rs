//! `POST /api/v1/knowledge/import`: takes a folder in as a tar archive.

use axum::Json as Reply;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use aeterna_kit::http::extract::Query;
use aeterna_kit::problem::{Code, FieldError, Problem};
use aeterna_policy::guard::Judge;

use super::upload;
use crate::archive::{FAULTS, Fault, Member, Refused};
use crate::by::By;
use crate::item::draft::Draft;
use crate::path::FolderPath;
use crate::permissions::about_draft;
use crate::routes::refusal::path_problem;
use crate::state::State;
use crate::store::{self, Failed, Outcome};

/// Where to, and over what.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Options {
    /// The folder that the archive's names are below; everything if nothing is said.
    #[serde(default)]
    pub folder: String,
    /// What becomes of items that are there already, and say something else.
    #[serde(default)]
    pub existing: Existing,
}

/// What becomes of an item that is there already, and says something else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Existing {
    /// The import is refused.
    #[default]
    Refuse,
    /// It stays as it is.
    Keep,
    /// The archive's file is its next version.
    Replace,
}

/// What became of a file.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// Where it is.
    pub path: String,
    /// `created`, `changed`, or `unchanged`.
    pub outcome: &'static str,
    /// Its version now.
    pub version: i64,
}

/// What became of all files.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ImportResponse)]
pub struct Response {
    /// How many are new.
    pub created: usize,
    /// How many say something else now.
    pub changed: usize,
    /// How many say what they said.
    pub unchanged: usize,
    /// By path.
    pub items: Vec<Imported>,
}

/// Takes a folder in, as a tar archive of Markdown files (uncompressed): all of it, or nothing. Each file is written as PUT
/// would write it, as the caller's; files that others supersede go before these. The same archive again changes nothing.
///
/// # Errors
/// Those of the document.
#[utoipa::path(
    post, path = "/api/v1/knowledge/import", tag = "knowledge", params(Options),
    request_body(content((String = "application/x-tar"))),
    responses(
        (status = 200, description = "All of it is there", body = Response),
        (status = 400, description = "A parameter does not fit"),
        (status = 403, description = "The caller's roles or the tenant's policies do not allow this; each file that they forbid is named"),
        (status = 409, description = "Some files cannot be written; each is named with its reason, and nothing was written"),
        (status = 413, description = "More than 2000 files or 16 MiB"),
        (status = 415, description = "The body is not application/x-tar"),
        (status = 422, description = "The body is no tar archive, or some of its files cannot be items: each is named"),
        (status = 503, description = "The database is away, or too many imports are being read; see Retry-After"),
    )
)]
pub async fn import(
    by: By,
    Shared(state): Shared<State>,
    Query(options): Query<Options>,
    headers: HeaderMap,
    body: Body,
) -> Result<Reply<Response>, Problem> {
    let folder = FolderPath::parse(&options.folder).map_err(|error| path_problem("folder", &error))?;
    if !by.rights.may_write() {
        return Err(Problem::new(
            Code::Forbidden,
            "your roles do not allow to write knowledge",
        ));
    }
    require_tar(&headers)?;
    // The members are held until they are stored, and so is the place.
    let _place = upload::place(&state.imports)?;
    let members = upload::receive(body, folder).await?;
    judge_members(&by.judge, &members)?;
    let existing = match options.existing {
        Existing::Refuse => store::Existing::Refuse,
        Existing::Keep => store::Existing::Keep,
        Existing::Replace => store::Existing::Replace,
    };
    let imported = store::import(&state.pool, &by, members, existing).await?;
    Ok(Reply(report(imported)))
}

/// Asks the policies about each file before anything is written; what is at their paths is asked about when it is known.
fn judge_members(judge: &Judge, members: &[Member]) -> Result<(), Problem> {
    let fault = |member: &Member| {
        let about = about_draft(&member.path, &Draft::new(member.text.clone()));
        let refused = judge.check(about).err()?;
        let (name, message) = (member.path.to_string(), refused.detail);
        Some(Fault { name, message })
    };
    let faults: Vec<Fault> = members.iter().filter_map(fault).take(FAULTS).collect();
    if faults.is_empty() {
        return Ok(());
    }
    let message = "the tenant's policies do not allow some of the archive's files";
    Err(of_faults(Code::Forbidden, message, faults))
}

fn require_tar(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = given.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if ["application/x-tar", "application/tar"]
        .iter()
        .any(|tar| kind.eq_ignore_ascii_case(tar))
    {
        return Ok(());
    }
    let message = "send the archive as application/x-tar, not compressed";
    Err(Problem::field(Code::UnsupportedMediaType, "Content-Type", message))
}

fn report(imported: Vec<store::Imported>) -> Response {
    let count = |outcome| imported.iter().filter(|one| one.outcome == outcome).count();
    Response {
        created: count(Outcome::Created),
        changed: count(Outcome::Changed),
        unchanged: count(Outcome::Unchanged),
        items: imported
            .into_iter()
            .map(|one| Imported {
                path: one.path,
                outcome: match one.outcome {
                    Outcome::Created => "created",
                    Outcome::Changed => "changed",
                    Outcome::Unchanged => "unchanged",
                },
                version: one.version,
            })
            .collect(),
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        match refused {
            Refused::TooLarge => Self::new(Code::PayloadTooLarge, message),
            Refused::Broken(_) => Self::new(Code::InvalidArchive, message),
            Refused::Members(faults) => of_faults(Code::InvalidArchive, &message, faults),
        }
    }
}

impl From<Failed> for Problem {
    fn from(failed: Failed) -> Self {
        let message = failed.to_string();
        match failed {
            Failed::Members(faults) => of_faults(Code::ImportRefused, &message, faults),
            Failed::Forbidden(faults) => of_faults(Code::Forbidden, &message, faults),
            Failed::Store(error) => error.into(),
        }
    }
}

fn of_faults(code: Code, message: &str, faults: Vec<Fault>) -> Problem {
    let error = |fault: Fault| FieldError {
        pointer: fault.name,
        message: fault.message,
        line: None,
        column: None,
    };
    Problem {
        errors: faults.into_iter().map(error).collect(),
        ..Problem::new(code, format!("{message}; nothing was written"))
    }
}
