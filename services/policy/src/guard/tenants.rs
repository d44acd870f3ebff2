//! The snapshots held here, one a tenant, and when a new one is asked for.
//!
//! At most one question about a tenant is on its way at a time. After an answer, good or bad, there is a pause, so a
//! governance service that is away does not slow down what is refused anyway. A caller to whom it refuses a snapshot costs
//! nobody else his turn for long. One without any role asks as well, for he may have got one since, but seldom.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError, RwLock};
use std::time::Duration;

use axum::http::HeaderMap;
use jiff::SignedDuration;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout};

use aeterna_kit::auth::Caller;
use aeterna_kit::clock;
use aeterna_kit::ids::TenantId;
use aeterna_kit::tasks;

use super::ages::Ages;
use super::client::{Client, Credentials, Error, PATIENCE};
use super::roles;
use super::route::Access;
use crate::signed::{PublicKeys, Signed};
use crate::snapshot::Held;

/// Tenants remembered; beyond, all are asked for again.
const REMEMBERED: usize = 10_000;

/// People without a role who may ask about a tenant in the time between two snapshots.
const ROLELESS: usize = 64;

/// Between two questions about a tenant.
const PAUSE: Duration = Duration::from_secs(1);

/// Policies that are so many times as old as they should be were not asked for by anybody: the tenant had no requests here.
const LATE: i32 = 2;

/// The longest that a read waits for newer policies than those that it can be decided by. Only the one that asks waits.
const BRIEFLY: Duration = Duration::from_millis(250);

/// The longest that a write does: longer than a question takes, whose own patience ends before.
const A_MOMENT: Duration = Duration::from_secs(3);

/// What is known of a tenant.
#[derive(Debug)]
struct Known {
    tenant: TenantId,
    held: RwLock<Option<Arc<Held>>>,
    /// The time before which nobody asks; held by whoever asks.
    turn: Mutex<Option<Instant>>,
    /// Who has no role and has asked, and the time before which he does not ask again.
    roleless: StdMutex<HashMap<String, Instant>>,
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
    keys: PublicKeys,
    refresh: SignedDuration,
}

impl Tenants {
    pub(super) fn new(client: Client, keys: PublicKeys, refresh: Duration) -> Self {
        let refresh = SignedDuration::try_from(refresh).unwrap_or(SignedDuration::from_secs(10));
        Self {
            asking: Arc::new(Asking { client, keys, refresh }),
            known: RwLock::default(),
            ages: Ages::default(),
        }
    }

    /// Takes the age that a request met; returns the greatest of late, in seconds.
    pub(super) fn greatest_age(&self, age: SignedDuration) -> f64 {
        self.ages.greatest(age.as_secs_f64(), Instant::now())
    }

    /// Returns the tenant's snapshot, the newest that can be had without waiting. Who has none to decide by waits, and who has
    /// none to write by. After a time without requests the first one waits a moment, or a change of minutes ago would not count
    /// for it; it is decided by the old one at last.
    ///
    /// # Cancel safety
    /// Whoever goes away while waiting takes his question along; the next one asks again.
    pub(super) async fn current(&self, caller: &Caller, headers: &HeaderMap, access: Access) -> Option<Arc<Held>> {
        let known = self.known(caller.scope.tenant());
        let (held, now) = (known.held(), clock::now());
        if held.as_ref().is_some_and(|held| held.age(now) < self.asking.refresh) {
            return held;
        }
        let is_roleless = roles(held.as_deref(), caller).is_empty();
        if is_roleless && !known.may_ask_roleless(&caller.subject, self.asking.refresh) {
            if held.is_none() {
                // Somebody may be asking, and what he gets tells which roles this one was given.
                drop(timeout(PATIENCE, known.turn.lock()).await);
            }
            return known.held();
        }
        let whose = Credentials::of(caller, headers);
        match held {
            Some(held) if access == Access::Read || !held.is_stale(now) => {
                let asked = self.ask_beside(&known, whose);
                // Nobody has asked for a while: what has changed since shall count for this one already.
                if held.age(now) >= self.asking.refresh * LATE {
                    match (asked, access) {
                        (Some(asked), Access::Read) => drop(timeout(BRIEFLY, asked).await),
                        (None, Access::Read) => {}
                        (Some(asked), Access::Write) => drop(timeout(A_MOMENT, asked).await),
                        (None, Access::Write) => drop(timeout(A_MOMENT, known.turn.lock()).await),
                    }
                }
                known.held()
            }
            Some(_) | None => {
                // Others may stand before this one, each of whom may be refused.
                if let Ok(turn) = timeout(PATIENCE, known.turn.lock()).await {
                    self.asking.ask(&known, turn, whose).await;
                }
                known.held()
            }
        }
    }

    /// Asks without waiting, unless somebody asks already or the pause is not over.
    fn ask_beside(&self, known: &Arc<Known>, whose: Credentials) -> Option<tokio::task::JoinHandle<()>> {
        if !known.may_ask() {
            return None;
        }
        let (asking, known) = (Arc::clone(&self.asking), Arc::clone(known));
        Some(tasks::spawn("policy-refresh", async move {
            if let Ok(turn) = known.turn.try_lock() {
                asking.ask(&known, turn, whose).await;
            }
        }))
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

    /// Tells whether somebody without a role may ask; then he may not for a while. Nobody else's question is a reason to keep
    /// him from his, for he may have been given a role where the other was not.
    fn may_ask_roleless(&self, subject: &str, pause: SignedDuration) -> bool {
        let mut asked = self.roleless.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if asked.get(subject).is_some_and(|until| now < *until) {
            return false;
        }
        if asked.len() >= ROLELESS {
            asked.retain(|_, until| now < *until);
        }
        let may = asked.len() < ROLELESS;
        if may {
            asked.insert(subject.to_owned(), now + pause.unsigned_abs());
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
        let before = known.held();
        let hash = before.as_ref().map(|held| held.set.hash());
        match self.client.fetch(whose, hash).await {
            Ok(signed) => self.open(known, signed, before.clone()).await,
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

    /// Takes an answer that is believed. Whether it is, and what it says, is found out beside the runtime.
    async fn open(&self, known: &Known, signed: Signed, before: Option<Arc<Held>>) {
        let (keys, tenant) = (self.keys.clone(), known.tenant.clone());
        let open = move || Held::open(&signed, &keys, &tenant, clock::now(), before.as_deref());
        match tokio::task::spawn_blocking(open).await {
            Ok(Ok(new)) => known.take(new),
            Ok(Err(refused)) => {
                count(refused.name());
                let keys = self.keys.ids().join(", ");
                tracing::error!(tenant = %known.tenant, %refused, keys, "a snapshot of policies is not believed");
            }
            Err(error) => {
                count("lost");
                tracing::error!(tenant = %known.tenant, %error, "a snapshot of policies was lost with its thread");
            }
        }
    }
}

fn count(reason: &'static str) {
    metrics::counter!("policy_snapshots_missed_total", "reason" => reason).increment(1);
}
