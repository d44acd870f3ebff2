//! SQL of the schema `knowledge`, under row-level security, and nowhere else.

mod context;
mod export;
mod folder;
mod graph;
mod history;
mod import;
mod read;
mod row;
mod rows;
mod search;
mod write;

use aeterna_kit::migrate::Migrations;

pub use context::{Beyond, Outline, fetch_beyond, fetch_for_context, fetch_texts, may_be_more};
pub use export::{Exported, export, head};
pub use folder::{Entry, list};
pub use graph::{Changes, Link, Named, Neighbour, Node, Use, changes, names, neighbours, record_use};
pub use history::{Past, history};
pub use import::{Existing, Failed, Imported, import};
pub use read::{fetch, fetch_version};
pub use search::{Found, Hit, RANKED, Search, search};
pub use write::{Error, Next, Outcome, Wanted, Written, delete, put};

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Returns the migrations of the schema `knowledge`; they need the kit's roles.
#[must_use]
pub fn migrations() -> Migrations {
    Migrations {
        schema: "knowledge",
        migrator: &MIGRATOR,
    }
}

/// Returns the name whose drafts a reader may see beside everything else; none sees all.
pub(crate) fn reader(rights: &crate::access::Rights) -> Option<&str> {
    (!rights.may_edit()).then(|| rights.subject())
}
