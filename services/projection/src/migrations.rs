//! The schema `memory`.

use aeterna_kit::migrate::Migrations;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Returns the migrations of the schema `memory`; they need the kit's roles and the schema `routing`.
#[must_use]
pub fn migrations() -> Migrations {
    Migrations {
        schema: "memory",
        migrator: &MIGRATOR,
    }
}
