//! The schema `sync`.

use aeterna_kit::migrate::Migrations;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Returns the migrations of the schema `sync`; they need the kit's roles.
#[must_use]
pub fn migrations() -> Migrations {
    Migrations {
        schema: "sync",
        migrator: &MIGRATOR,
    }
}
