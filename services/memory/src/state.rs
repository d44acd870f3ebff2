//! What the handlers share, and how a route is known.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::FromRef;
use sqlx::PgPool;
use tokio::sync::Semaphore;

use aeterna_kit::auth::{Authenticator, TenantScope};
use aeterna_kit::ids::TenantId;
use aeterna_kit::problem::{Code, Problem};
use aeterna_kit::service::Foundation;
use aeterna_kit::tasks::spawn_forever;
use aeterna_policy::guard::Guard;
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
    /// What decides before the handlers, if anything.
    pub guard: Option<Guard>,
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
    /// One re-check of points without a row runs at a time.
    pub rechecks: Arc<Semaphore>,
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
            guard: settings.guard.guard()?,
            embedders: Arc::new(settings.embedders(&laid.cache)?),
            applier: Applier::new(laid.pool.clone(), Stores::new(settings.qdrant_api_key.clone())),
            writer: Writer::new(laid.pool.clone()),
            onboarding: settings.onboarding,
            routes: Routes::default(),
            rechecks: Arc::new(Semaphore::new(1)),
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
        let known = self.routes.model(scope.tenant());
        known.unwrap_or_else(|| self.embedders.default_model().to_owned())
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
                    .map_err(|error| onboarding_problem(&error))?;
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

fn onboarding_problem(error: &aeterna_tenancy::Error) -> Problem {
    if matches!(
        error,
        aeterna_tenancy::Error::ShardFull { .. } | aeterna_tenancy::Error::UnknownShard { .. }
    ) {
        let detail = "no shared shard takes another tenant; add one to the AeternaCluster's sharding.sharedShards";
        return Problem::hiding(Code::NoShardHasRoom, detail, error);
    }
    Problem::hiding(
        Code::Unavailable,
        "the tenant could not be registered; try again soon",
        error,
    )
}

/// The problem of a text that could not be embedded; `pointer` names it in the request.
#[must_use]
pub fn embedding_problem(pointer: &str, error: &embedding::Error) -> Problem {
    if matches!(error, embedding::Error::Empty) {
        return Problem::field(
            Code::InvalidContent,
            pointer,
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
pub struct Routes(Arc<RwLock<HashMap<TenantId, Known>>>);

/// What is known of a tenant: a write tells its model, a search its whole route.
#[derive(Debug, Clone)]
enum Known {
    Model(String),
    Route(Route),
}

/// Tenants remembered; beyond, all are forgotten and asked for again.
const REMEMBERED: usize = 100_000;

impl Routes {
    /// Returns what was last seen.
    #[must_use]
    pub fn get(&self, tenant: &TenantId) -> Option<Route> {
        match self.known(tenant)? {
            Known::Route(route) => Some(route),
            Known::Model(_) => None,
        }
    }

    /// Returns the tenant's model, as it was last seen.
    #[must_use]
    pub fn model(&self, tenant: &TenantId) -> Option<String> {
        self.known(tenant).map(|known| match known {
            Known::Model(model) => model,
            Known::Route(route) => route.model,
        })
    }

    fn known(&self, tenant: &TenantId) -> Option<Known> {
        let routes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        routes.get(tenant).cloned()
    }

    /// Remembers the route that a search saw.
    pub fn put(&self, tenant: &TenantId, route: Route) {
        self.remember(tenant, Known::Route(route));
    }

    /// Remembers the model that a write was taken with; a route that names it as well is kept.
    pub fn put_model(&self, tenant: &TenantId, model: &str) {
        if self.model(tenant).as_deref() != Some(model) {
            self.remember(tenant, Known::Model(model.to_owned()));
        }
    }

    fn remember(&self, tenant: &TenantId, known: Known) {
        let mut routes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if routes.len() >= REMEMBERED {
            routes.clear();
        }
        routes.insert(tenant.clone(), known);
    }
}
