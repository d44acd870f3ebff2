//! `/api/v1/roles`.

pub mod change;
pub mod grant;
pub mod list;
pub mod revoke;
