//! The endpoints: a folder a resource, a file a verb.

use aeterna_kit::problem::{Code, Problem};

use crate::engine::Scope;

pub mod approval;
pub mod audit;
pub mod policies;
pub mod roles;

/// Checks a place; `at` is its pointer in the body.
///
/// # Errors
/// [`Code::InvalidBody`].
pub fn check_scope(at: &str, scope: &Scope) -> Result<(), Problem> {
    let refuse = |name| {
        let message = "1 to 256 bytes without control characters";
        Problem::field(Code::InvalidBody, format!("{at}/{name}"), message)
    };
    scope.check().map_err(refuse)
}
