//! Errors as `application/problem+json` (RFC 9457), all of them: ours, axum's own, panics and timeouts.
//!
//! A handler's error enum becomes a [`Problem`]; a layer of the HTTP stack writes the body, for it knows the request id.
//! What went wrong inside is logged there once and never shown.

mod code;
mod report;

pub use code::Code;
pub use report::{Body, FieldError, Problem};
