//! What the handlers share.

use std::sync::Arc;

use axum::extract::FromRef;
use sqlx::PgPool;
use tokio::sync::Semaphore;

use aeterna_kit::auth::Authenticator;
use aeterna_kit::cache::Cache;
use aeterna_kit::service::Foundation;
use aeterna_policy::guard::Guard;

use crate::graph::Graphs;
use crate::memories::Memories;
use crate::notes::model::Model;
use crate::routes::context::assemble;
use crate::routes::knowledge::export::Places;
use crate::routes::knowledge::upload;
use crate::settings::KnowledgeSettings;
use crate::uses::Uses;

/// The state of every handler; cheap to clone.
#[derive(Debug, Clone)]
pub struct State {
    /// The truth.
    pub pool: PgPool,
    /// The cache.
    pub cache: Cache,
    /// Who callers are.
    pub authenticator: Authenticator,
    /// What decides before the handlers, if anything.
    pub guard: Option<Guard>,
    /// The memory service.
    pub memories: Memories,
    /// The model for notes, if there is one.
    pub model: Option<Model>,
    /// The graphs of the tenants.
    pub graphs: Graphs,
    /// Counts what is told together.
    pub uses: Uses,
    /// Places for contexts that are being put together.
    pub contexts: Arc<Semaphore>,
    /// Places for archives that are being read and stored.
    pub imports: Arc<Semaphore>,
    /// Places for archives that are being written.
    pub exports: Places,
}

impl FromRef<State> for Authenticator {
    fn from_ref(state: &State) -> Self {
        state.authenticator.clone()
    }
}

impl State {
    /// Puts the state on its foundation.
    ///
    /// # Errors
    /// When a setting is wrong.
    pub fn assemble(laid: &Foundation, settings: &KnowledgeSettings) -> anyhow::Result<Self> {
        Ok(Self {
            pool: laid.pool.clone(),
            cache: laid.cache.clone(),
            authenticator: laid.authenticator.clone(),
            guard: settings.guard.guard()?,
            memories: Memories::new(settings.memory_service_url.as_deref())?,
            model: settings.model()?,
            graphs: Graphs::load(&settings.duckdb_library),
            uses: Uses::begin(laid.pool.clone()),
            contexts: Arc::new(Semaphore::new(assemble::AT_ONCE)),
            imports: Arc::new(Semaphore::new(upload::AT_ONCE)),
            exports: Places::default(),
        })
    }
}
