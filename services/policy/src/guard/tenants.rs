//! The snapshots held here, one a tenant, and when a new one is asked for.
//!
//! At most one question about a tenant is on its way at a time. After an answer, good or bad, there is a pause, so a
//! governance service that is away does not slow down what is refused anyway. A caller to whom it refuses a snapshot costs
//! nobody else his turn. One without any role asks as well, for he may have got one since, but seldom.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError, RwLock};
use std::time::Duration;

use axum::http::HeaderMap;
use jiff::SignedDuration;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use aeterna_kit::auth::Caller;
use aeterna_kit::clock;
use aeterna_kit::ids::TenantId;
use aeterna_kit::tasks;

use super::ages::Ages;
use super::client::{Client, Credentials, Error};
use super::identify;
use crate::signed::PublicKey;
use crate::snapshot::Held;

/// Tenants remembered; beyond, all are asked for again.
const REMEMBERED: usize = 10_000;

/// Between two questions about a tenant.
const PAUSE: Duration = Duration::from_secs(1);

/// What is known of a tenant.
#[derive(Debug)]
struct Known {
    tenant: TenantId,
    held: RwLock<Option<Arc<Held>>>,
    /// The time before which nobody asks; held by whoever asks.
    turn: Mutex<Option<Instant>>,
    /// The time before which nobody without a role asks.
    roleless: StdMutex<Option<Instant>>,
}

/// All snapshots of this process.
#[derive(Debug)]
pub(super) struct Tenants {
    asking: Arc<Asking>,
    known: RwLock<HashMap<TenantId, Arc<Known>>>,
    ages: Ages,
}

#[derive(Debug)]
struct Asking {
    client: Client,
    key: PublicKey,
    refresh: SignedDuration,
}

impl Tenants {
    pub(super) fn new(client: Client, key: PublicKey, refresh: Duration) -> Self {
        let refresh = SignedDuration::try_from(refresh).unwrap_or(SignedDuration::from_secs(10));
        Self {
            asking: Arc::new(Asking { client, key, refresh }),
            known: RwLock::default(),
            ages: Ages::default(),
        }
    }

    /// Takes the age that a request met; returns the greatest of late, in seconds.
    pub(super) fn greatest_age(&self, age: SignedDuration) -> f64 {
        self.ages.greatest(age.as_secs_f64(), Instant::now())
    }

    /// Returns the tenant's snapshot, the newest that can be had without waiting; waits only when there is none to write by.
    ///
    /// # Cancel safety
    /// Whoever goes away while waiting takes his question along; the next one asks again.
    pub(super) async fn current(&self, caller: &Caller, headers: &HeaderMap) -> Option<Arc<Held>> {
        let known = self.known(caller.scope.tenant());
        let whose = Credentials::of(caller, headers);
        let now = clock::now();
        match known.held() {
            Some(held) if held.age(now) < self.asking.refresh => Some(held),
            Some(held) if identify(&held, caller).roles.is_empty() && !known.may_ask_roleless(self.asking.refresh) => {
                Some(held)
            }
            Some(held) if !held.is_stale(now) => {
                self.ask_beside(&known, whose);
                Some(held)
            }
            Some(_) | None => {
                self.asking.ask(&known, known.turn.lock().await, whose).await;
                known.held()
            }
        }
    }

    fn ask_beside(&self, known: &Arc<Known>, whose: Credentials) {
        if !known.may_ask() {
            return;
        }
        let (asking, known) = (Arc::clone(&self.asking), Arc::clone(known));
        tasks::spawn("policy-refresh", async move {
            if let Ok(turn) = known.turn.try_lock() {
                asking.ask(&known, turn, whose).await;
            }
        });
    }

    fn known(&self, tenant: &TenantId) -> Arc<Known> {
        let found = self
            .known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(tenant)
            .cloned();
        found.unwrap_or_else(|| {
            let mut all = self.known.write().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= REMEMBERED {
                all.clear();
            }
            let new = || {
                Arc::new(Known {
                    tenant: tenant.clone(),
                    held: RwLock::default(),
                    turn: Mutex::default(),
                    roleless: StdMutex::default(),
                })
            };
            Arc::clone(all.entry(tenant.clone()).or_insert_with(new))
        })
    }
}

impl Known {
    fn held(&self) -> Option<Arc<Held>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells whether nobody asks at this moment, and the pause is over.
    fn may_ask(&self) -> bool {
        self.turn.try_lock().is_ok_and(|turn| is_over(*turn))
    }

    /// Tells whether somebody without a role may ask; then nobody like him may for a while.
    fn may_ask_roleless(&self, pause: SignedDuration) -> bool {
        let mut until = self.roleless.lock().unwrap_or_else(PoisonError::into_inner);
        let may = is_over(*until);
        if may {
            *until = Some(Instant::now() + pause.unsigned_abs());
        }
        may
    }

    /// Takes a snapshot, unless a newer one is held.
    fn take(&self, new: Held) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_none_or(|old| new.is_newer_than(old)) {
            *held = Some(Arc::new(new));
        }
    }
}

fn is_over(pause: Option<Instant>) -> bool {
    pause.is_none_or(|until| Instant::now() >= until)
}

impl Asking {
    async fn ask(&self, known: &Known, mut turn: MutexGuard<'_, Option<Instant>>, whose: Credentials) {
        // Somebody may have asked while this one waited for its turn.
        if !is_over(*turn) {
            return;
        }
        match self.client.fetch(whose).await {
            Ok(signed) => match Held::open(&signed, &self.key, &known.tenant, clock::now()) {
                Ok(new) => known.take(new),
                Err(refused) => {
                    count(refused.name());
                    tracing::error!(tenant = %known.tenant, %refused, key = self.key.id(), "a snapshot of policies is not believed");
                }
            },
            Err(Error::Refused) => {
                count("refused");
                return;
            }
            Err(error) => {
                count("absent");
                tracing::warn!(tenant = %known.tenant, %error, "no snapshot of policies");
            }
        }
        *turn = Some(Instant::now() + PAUSE);
    }
}

fn count(reason: &'static str) {
    metrics::counter!("policy_snapshots_missed_total", "reason" => reason).increment(1);
}
