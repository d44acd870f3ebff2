//! The HTTP stack that every service stands in.
//!
//! From the outside in: request id and problem bodies ([`problems`]) → metrics ([`observe`]) → panics → deadline →
//! load limit → CORS in development → the service's routes. Beside them `/health`, `/ready` and `/metrics` ([`health`]).

pub mod extract;
pub mod health;
pub mod observe;
pub mod problems;
pub mod stack;
