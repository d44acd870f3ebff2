//! Leadership: one operator works at a time.
//!
//! A Lease is taken and renewed by replacing it at the resourceVersion that was read: of two that try, the API server lets
//! one through. A leader that could not renew in time ends its process; what it still had under way is refused by the
//! term in PostgreSQL, which the next leader raises.

use std::future::Future;
use std::time::Duration;

use aeterna_kit::clock;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::time::Instant;

/// The Lease's name.
const NAME: &str = "aeterna-operator";

/// How long a leader that is silent is believed in.
const DURATION: Duration = Duration::from_secs(15);

/// Between two renewals.
const RENEW: Duration = Duration::from_secs(5);

/// Lease 15 s - request timeout 3 s - margin 2 s.
const GIVE_UP: Duration = Duration::from_secs(10);

/// The longest request for the Lease.
const REQUEST: Duration = Duration::from_secs(3);

/// Between two looks of one who waits.
const WATCH: Duration = Duration::from_secs(2);

/// The Lease, and who we are.
#[derive(Clone)]
pub struct Leadership {
    api: Api<Lease>,
    identity: String,
}

/// The Lease could not be taken or kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server does not answer, or refuses.
    #[error("cannot {operation} the Lease {NAME}")]
    Api {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server took too long.
    #[error("the API server did not {operation} the Lease {NAME} in time")]
    Late {
        /// What was tried.
        operation: &'static str,
    },
    /// Somebody else has it, or it could not be renewed in time.
    #[error("the Lease {NAME} is lost")]
    Lost,
}

impl Leadership {
    /// Prepares to lead, as `identity`.
    #[must_use]
    pub fn new(client: Client, namespace: &str, identity: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            identity: identity.to_owned(),
        }
    }

    /// Waits until this process leads.
    pub async fn acquire(&self) {
        metrics::gauge!("leader_election_master_status").set(0.0);
        let mut seen: Option<(Option<String>, Instant)> = None;
        loop {
            match bounded("take", Instant::now() + REQUEST, self.try_acquire(&mut seen)).await {
                Ok(true) => {
                    tracing::info!(identity = self.identity, "leading");
                    metrics::gauge!("leader_election_master_status").set(1.0);
                    return;
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the Lease cannot be taken yet"),
            }
            tokio::time::sleep(WATCH).await;
        }
    }

    /// Takes the Lease if it is free: given back, or unchanged for its duration by *our* clock.
    async fn try_acquire(&self, seen: &mut Option<(Option<String>, Instant)>) -> Result<bool, Error> {
        let api = |operation| {
            move |source| Error::Api {
                operation,
                source: Box::new(source),
            }
        };
        let Some(mut lease) = self.api.get_opt(NAME).await.map_err(api("read"))? else {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(NAME.to_owned()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.claim(0)),
            };
            return match self.api.create(&PostParams::default(), &lease).await {
                Ok(_) => Ok(true),
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(false),
                Err(error) => Err(api("create")(error)),
            };
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().filter(|holder| !holder.is_empty());
        let version = lease.metadata.resource_version.clone();
        let since = match seen {
            Some((known, since)) if *known == version => *since,
            _ => {
                *seen = Some((version, Instant::now()));
                Instant::now()
            }
        };
        if holder.is_some_and(|holder| holder != self.identity) && since.elapsed() < DURATION {
            return Ok(false);
        }
        lease.spec = Some(self.claim(spec.lease_transitions.unwrap_or_default().saturating_add(1)));
        self.replace(&lease).await
    }

    fn claim(&self, transitions: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: Some(MicroTime(clock::now())),
            renew_time: Some(MicroTime(clock::now())),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }

    /// Replaces the Lease at the version that was read; false when somebody was faster.
    async fn replace(&self, lease: &Lease) -> Result<bool, Error> {
        match self.api.replace(NAME, &PostParams::default(), lease).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.is_conflict() => Ok(false),
            Err(source) => Err(Error::Api {
                operation: "renew",
                source: Box::new(source),
            }),
        }
    }

    /// Renews the Lease until it is lost; returns why. It is given up at the latest [`GIVE_UP`] after the last renewal was
    /// asked for, whatever is under way then.
    pub async fn keep(&self) -> Error {
        let mut renewed = Instant::now();
        loop {
            let end = renewed + GIVE_UP;
            tokio::time::sleep_until((Instant::now() + RENEW).min(end)).await;
            let asked = Instant::now();
            if asked >= end {
                return Error::Lost;
            }
            match bounded("renew", (asked + REQUEST).min(end), self.renew()).await {
                Ok(true) => renewed = asked,
                Ok(false) => return Error::Lost,
                Err(error) => tracing::warn!(%error, "the Lease was not renewed"),
            }
        }
    }

    async fn renew(&self) -> Result<bool, Error> {
        let read = |source| Error::Api {
            operation: "read",
            source: Box::new(source),
        };
        let mut lease = self.api.get(NAME).await.map_err(read)?;
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(self.identity.as_str()) {
            return Ok(false);
        }
        spec.renew_time = Some(MicroTime(clock::now()));
        self.replace(&lease).await
    }

    /// Gives the Lease back, so that the next one need not wait. If that fails, the Lease runs out by itself.
    pub async fn release(&self) {
        let given = async {
            let Ok(mut lease) = self.api.get(NAME).await else {
                return Ok(false);
            };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() != Some(self.identity.as_str()) {
                return Ok(false);
            }
            spec.holder_identity = Some(String::new());
            self.replace(&lease).await
        };
        let _ = bounded("give back", Instant::now() + REQUEST, given).await;
    }
}

/// Bounds a request in time.
async fn bounded<T>(
    operation: &'static str,
    end: Instant,
    request: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout_at(end, request)
        .await
        .unwrap_or(Err(Error::Late { operation }))
}
