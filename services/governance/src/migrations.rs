//! The schema `governance`.

use aeterna_kit::migrate::Migrations;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Returns the migrations of the schema `governance`; they need the kit's roles.
#[must_use]
pub fn migrations() -> Migrations {
    Migrations {
        schema: "governance",
        migrator: &MIGRATOR,
    }
}
