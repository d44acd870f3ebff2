//! What the handlers and the workers share.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use sqlx::PgPool;
use tokio::sync::{Notify, Semaphore, watch};

use aeterna_kit::auth::Authenticator;
use aeterna_kit::config::Settings;
use aeterna_kit::http::stack::asked_to_end;
use aeterna_kit::service::Foundation;
use aeterna_kit::tasks::{spawn, spawn_forever};
use aeterna_policy::guard::Guard;

use crate::outbound::Outbound;
use crate::secrets::Secrets;
use crate::settings::SyncSettings;
use crate::source::Places;
use crate::streams::Streams;
use crate::target::Services;
use crate::token::Tokens;
use crate::worker::upkeep::{self, Upkeep};
use crate::worker::{self, Context, Probe};

/// Streams of statuses at once, and of one tenant: a thousand looks a second.
const STREAMS: (usize, usize) = (256, 64);

/// How long the last batch of a job may take when the process ends: two requests of a target, less than Kubernetes waits.
const LAST_BATCH: Duration = Duration::from_secs(20);

/// The state of every handler; cheap to clone.
#[derive(Debug, Clone)]
pub struct State {
    /// The truth.
    pub pool: PgPool,
    /// Who callers are.
    pub authenticator: Authenticator,
    /// What decides before the handlers, if anything.
    pub guard: Option<Guard>,
    /// Where items go.
    pub services: Services,
    /// Where sources may read.
    pub places: Arc<Places>,
    /// Wakes this process's worker: a started job need not wait for its next look.
    pub wake: Arc<Notify>,
    /// Streams of statuses that may be open.
    pub streams: Streams,
    /// Says to the jobs and the streams of this process that it is about to end.
    pub leaving: Arc<watch::Sender<bool>>,
    /// Jobs that this process may still take.
    slots: Arc<Semaphore>,
    at_once: u32,
    per_tenant: i32,
    upkeep: Upkeep,
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
    pub fn assemble(laid: &Foundation, kit: &Settings, sync: &SyncSettings) -> anyhow::Result<Self> {
        let tokens = Tokens::new(kit, sync.sync_token_key_file.as_ref())?;
        let (knowledge, memory) = (&sync.knowledge_service_url, &sync.memory_service_url);
        let services = Services::new(tokens, knowledge.as_deref(), memory.as_deref())?;
        Ok(Self {
            pool: laid.pool.clone(),
            authenticator: laid.authenticator.clone(),
            guard: sync.guard.guard()?,
            services: services.clone(),
            places: Arc::new(Places {
                directory_root: sync.sync_directory_root.clone(),
                git_directory: sync.sync_git_directory.clone(),
                outbound: Outbound::new(&sync.sync_allow_hosts)?,
                secrets: Secrets::new(sync.sync_secrets_directory.clone()),
                services,
            }),
            wake: Arc::default(),
            streams: Streams::new(STREAMS.0, STREAMS.1),
            leaving: Arc::new(watch::Sender::new(false)),
            slots: Arc::new(Semaphore::new(usize::try_from(sync.sync_jobs_at_once)?)),
            at_once: sync.sync_jobs_at_once,
            per_tenant: sync.sync_jobs_per_tenant,
            upkeep: Upkeep {
                pool: laid.pool.clone(),
                copies: sync.sync_git_directory.clone(),
                copies_bytes: sync.sync_git_directory_bytes,
                jobs_days: sync.sync_jobs_kept_days,
            },
        })
    }

    /// Returns what a worker needs.
    #[must_use]
    pub fn context(&self) -> Context {
        Context {
            pool: self.pool.clone(),
            services: self.services.clone(),
            places: Arc::clone(&self.places),
            probe: Probe::default(),
            leaving: self.leaving.subscribe(),
        }
    }

    /// Starts what the service does without being asked.
    pub fn spawn_workers(&self) {
        if self.at_once > 0 {
            let (context, wake) = (self.context(), Arc::clone(&self.wake));
            let triggers = worker::triggers::run(self.pool.clone(), Arc::clone(&wake));
            spawn_forever(
                "worker",
                worker::run(context, wake, Arc::clone(&self.slots), self.per_tenant),
            );
            spawn_forever("triggers", triggers);
            spawn_forever("upkeep", upkeep::run(self.upkeep.clone()));
        }
        let leaving = Arc::clone(&self.leaving);
        spawn("leaving", async move {
            asked_to_end().await;
            leaving.send_replace(true);
        });
    }

    /// Returns what forgets what nobody needs.
    #[must_use]
    pub fn upkeep(&self) -> &Upkeep {
        &self.upkeep
    }

    /// Waits until the jobs of this process are given back, or for as long as a batch may take.
    pub async fn leave(&self) {
        self.leaving.send_replace(true);
        let all = self.slots.acquire_many(self.at_once);
        if tokio::time::timeout(LAST_BATCH, all).await.is_err() {
            tracing::warn!("jobs are left to their leases");
        }
    }
}
