//! What the handlers share.

use axum::extract::FromRef;
use sqlx::PgPool;

use aeterna_kit::auth::Authenticator;
use aeterna_kit::cache::Cache;
use aeterna_kit::service::Foundation;
use aeterna_policy::guard::Guard;

use crate::memories::Memories;
use crate::notes::model::Model;
use crate::settings::KnowledgeSettings;

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
        })
    }
}
