//! What the handlers share, and how a route is known.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::FromRef;
use sqlx::PgPool;

use aeterna_kit::auth::{Authenticator, TenantScope};
use aeterna_kit::ids::TenantId;
use aeterna_kit::problem::{Code, Problem};
use aeterna_kit::service::Foundation;
use aeterna_kit::tasks::spawn_forever;
use aeterna_projection::apply::Applier;
use aeterna_projection::relay;
use aeterna_projection::store::Stores;
use aeterna_tenancy::routes;

use crate::embedding::{self, Embedders};
use crate::settings::{MemorySettings, Onboarding};
use crate::store::Route;
use crate::sweeper;
use crate::writer::Writer;

/// The state of every handler; cheap to clone.
#[derive(Clone)]
pub struct State {
    /// The truth.
    pub pool: PgPool,
    /// Who callers are.
    pub authenticator: Authenticator,
    /// The models.
    pub embedders: Arc<Embedders>,
    /// Brings written rows to Qdrant.
    pub applier: Applier,
    /// Writes, many requests a commit.
    pub writer: Writer,
    /// What becomes of unknown tenants.
    pub onboarding: Onboarding,
    /// Routes as the last answer of the database told them. A stale one costs a second try, never a wrong answer.
    pub routes: Routes,
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
    /// When a setting is wrong, or the local model's weights are missing.
    pub fn assemble(laid: &Foundation, settings: &MemorySettings) -> anyhow::Result<Self> {
        Ok(Self {
            pool: laid.pool.clone(),
            authenticator: laid.authenticator.clone(),
            embedders: Arc::new(settings.embedders(&laid.cache)?),
            applier: Applier::new(laid.pool.clone(), Stores::new(settings.qdrant_api_key.clone())),
            writer: Writer::new(laid.pool.clone()),
            onboarding: settings.onboarding,
            routes: Routes::default(),
        })
    }

    /// Starts what the service does without being asked: what Qdrant still lacks, and what has expired.
    pub fn spawn_workers(&self) {
        spawn_forever("relay", relay::run(self.pool.clone(), self.applier.clone()));
        spawn_forever("sweeper", sweeper::run(self.clone()));
    }

    /// Returns the model for a tenant: its route's, as far as it is known.
    #[must_use]
    pub fn model_of(&self, scope: &TenantScope) -> String {
        let known = self.routes.get(scope.tenant());
        known.map_or_else(|| self.embedders.default_model().to_owned(), |route| route.model)
    }

    /// Registers a tenant that the database does not know, if that is allowed.
    ///
    /// # Errors
    /// [`Code::TenantNotDeclared`], [`Code::Unavailable`].
    pub async fn onboard(&self, scope: &TenantScope) -> Result<(), Problem> {
        match self.onboarding {
            Onboarding::Declared => Err(not_declared(scope)),
            Onboarding::Open => {
                routes::register_on_first_write(&self.pool, scope.tenant())
                    .await
                    .map_err(|error| {
                        Problem::hiding(
                            Code::Unavailable,
                            "the tenant could not be registered; try again soon",
                            &error,
                        )
                    })?;
                Ok(())
            }
        }
    }
}

/// The problem of a tenant without a TenantShard, where one is needed.
#[must_use]
pub fn not_declared(scope: &TenantScope) -> Problem {
    let detail = format!(
        "tenant {} is not declared; apply a TenantShard with this tenantId",
        scope.tenant()
    );
    Problem::new(Code::TenantNotDeclared, detail)
}

/// The problem of a text that could not be embedded.
#[must_use]
pub fn embedding_problem(error: &embedding::Error) -> Problem {
    if matches!(error, embedding::Error::Empty) {
        return Problem::field(
            Code::InvalidContent,
            "/content",
            "the text has no word that can be embedded",
        );
    }
    Problem::hiding(
        Code::EmbeddingFailed,
        "the embedding model did not do its part; try again soon",
        error,
    )
}

/// Routes as they were last seen.
#[derive(Debug, Clone, Default)]
pub struct Routes(Arc<RwLock<HashMap<TenantId, Route>>>);

/// Tenants remembered; beyond, all are forgotten and asked for again.
const REMEMBERED: usize = 100_000;

impl Routes {
    /// Returns what was last seen.
    #[must_use]
    pub fn get(&self, tenant: &TenantId) -> Option<Route> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(tenant)
            .cloned()
    }

    /// Remembers what was seen.
    pub fn put(&self, tenant: &TenantId, route: Route) {
        let mut routes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if routes.len() >= REMEMBERED {
            routes.clear();
        }
        routes.insert(tenant.clone(), route);
    }

    /// Forgets a tenant's route: it did not hold.
    pub fn forget(&self, tenant: &TenantId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(tenant);
    }
}
