//! What went wrong below the endpoints, as problems.

use aeterna_kit::problem::{Code, Problem};

use crate::item::change::Refusal;
use crate::item::draft::Invalid;
use crate::path;
use crate::store;

/// The problem of a path that is none.
pub(super) fn path_problem(pointer: &str, error: &path::Invalid) -> Problem {
    Problem::field(Code::InvalidPath, pointer, error.to_string())
}

/// The problem of an item that is not there, or not for the caller.
pub(super) fn absent(path: &impl std::fmt::Display) -> Problem {
    Problem::new(Code::KnowledgeNotFound, format!("the tenant has no item at {path}"))
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Invalid(invalid) => draft_problem(&invalid),
            store::Error::Refused(refusal) => refusal_problem(&refusal),
            store::Error::Collision(_) => Self::new(Code::PathCollision, error.to_string()),
            store::Error::Predecessor { .. } => Self::field(Code::InvalidTransition, "/supersedes", error.to_string()),
            store::Error::Forbidden(why) => Self::new(Code::Forbidden, why),
            store::Error::Database(error) => Self::database(&error),
            store::Error::Begin(error) => Self::hiding(
                Code::Unavailable,
                "the database does not answer; try again soon",
                &error,
            ),
        }
    }
}

fn draft_problem(invalid: &Invalid) -> Problem {
    let (code, pointer) = match invalid {
        Invalid::FrontMatter(_) => (Code::InvalidFrontMatter, "/content"),
        Invalid::Content => (Code::InvalidContent, "/content"),
        Invalid::Kind => (Code::InvalidBody, "/kind"),
        Invalid::Layer => (Code::InvalidBody, "/layer"),
        Invalid::Sections { .. } => (Code::MissingSection, "/content"),
        Invalid::Field { pointer, .. } => (Code::InvalidBody, *pointer),
    };
    Problem::field(code, pointer, invalid.to_string())
}

fn refusal_problem(refusal: &Refusal) -> Problem {
    let code = match refusal {
        Refusal::Absent => Code::KnowledgeNotFound,
        Refusal::Taken { .. } => Code::KnowledgeConflict,
        Refusal::Outdated { .. } => Code::PreconditionFailed,
        Refusal::Unconditional { .. } => Code::PreconditionRequired,
        Refusal::Settled { .. } | Refusal::Standing { .. } => Code::ImmutableKind,
        Refusal::NoSuchWay { .. } | Refusal::NoSuchBegin(_) => Code::InvalidTransition,
        Refusal::MayNotWrite | Refusal::MayNotReview | Refusal::Anothers => Code::Forbidden,
    };
    Problem::new(code, refusal.to_string())
}
