//! What the handlers share.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use sqlx::PgPool;

use aeterna_kit::auth::Authenticator;
use aeterna_kit::service::Foundation;
use aeterna_kit::tasks::spawn_forever;

use crate::anchor::Anchor;
use crate::sets::Sets;
use crate::settings::GovernanceSettings;
use crate::signing::Signer;
use crate::worker;

/// The state of every handler; cheap to clone.
#[derive(Debug, Clone)]
pub struct State {
    /// The truth.
    pub pool: PgPool,
    /// Who callers are.
    pub authenticator: Authenticator,
    /// The key, where there is one.
    pub signer: Option<Arc<Signer>>,
    /// Where checkpoints are kept, if anywhere.
    pub anchor: Option<Anchor>,
    /// Compiled policies.
    pub sets: Arc<Sets>,
    /// Between two checkpoints.
    pub checkpoint_interval: Duration,
    /// The age in seconds that snapshots may reach.
    pub snapshot_max_age: u32,
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
    pub fn assemble(laid: &Foundation, settings: &GovernanceSettings) -> anyhow::Result<Self> {
        let signer = settings.signer()?;
        let anchor = settings
            .audit_checkpoint_dir
            .clone()
            .zip(signer.clone())
            .map(|(dir, signer)| Anchor::new(dir, signer));
        Ok(Self {
            pool: laid.pool.clone(),
            authenticator: laid.authenticator.clone(),
            signer,
            anchor,
            sets: Arc::default(),
            checkpoint_interval: settings.checkpoint_interval(),
            snapshot_max_age: settings.policy_snapshot_max_age_seconds,
        })
    }

    /// Starts what the service does without being asked.
    pub fn spawn_workers(&self) {
        spawn_forever("expiry", worker::expiry::run(self.pool.clone()));
        if let Some(anchor) = self.anchor.clone() {
            let (pool, interval) = (self.pool.clone(), self.checkpoint_interval);
            spawn_forever("checkpoints", worker::checkpoints::run(pool, anchor, interval));
        }
    }
}
