//! The schema `routing`.

use aeterna_kit::migrate::Migrations;

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Returns the migrations of the schema `routing`; they need the roles that the kit's own set makes.
#[must_use]
pub fn migrations() -> Migrations {
    Migrations {
        schema: "routing",
        migrator: &MIGRATOR,
    }
}
