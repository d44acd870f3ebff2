//! What every service shares: identifiers, the clock, PostgreSQL in a tenant's scope, migrations, background tasks.
//!
//! It knows no route, no move and no memory. Services build their own state on it.

pub mod auth;
pub mod clock;
pub mod db;
pub mod ids;
pub mod migrate;
pub mod tasks;
