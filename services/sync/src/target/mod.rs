//! Targets: the services that keep what a source holds, asked through their APIs with the job's own token.
//!
//! Both calls can be repeated: an item has one id in its target ([`crate::plan::target_id`]), and what is gone already is
//! gone. No redirect is followed: a target is a service of ours.

mod answer;
mod front_matter;
mod knowledge;
mod memory;

use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use uuid::Uuid;

use aeterna_kit::ids::TenantId;

use crate::connection::Target;
use crate::job::{Class, Failure};
use crate::lease::Lease;
use crate::token::Tokens;

pub use answer::Refused;
pub(crate) use answer::retry_after;

/// The longest that one request may take; well below a lease, so that a worker that lost one asks for nothing any more.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// Where the services are, and how a job proves itself.
#[derive(Debug, Clone)]
pub struct Services {
    http: reqwest::Client,
    tokens: Tokens,
    knowledge: Option<String>,
    memory: Option<String>,
}

/// Largest item that is read back, in bytes of JSON.
const LONGEST_ITEM: usize = 4 << 20;

/// For whom something is delivered.
#[derive(Debug, Clone, Copy)]
pub struct For<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The connection.
    pub connection: Uuid,
    /// The job.
    pub job: Uuid,
    /// The roles of whoever started the job: it may do what they may, and no more.
    pub roles: &'a [String],
    /// What the target is told about where its items are from.
    pub origin: &'a str,
    /// Until when the job is this worker's.
    pub lease: &'a Lease,
}

impl For<'_> {
    /// Returns who the job is to a target: the connection, so that the next job can change what this one made.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("sync/{}", self.connection)
    }
}

/// An item on its way.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// Its id in the target.
    pub id: &'a str,
    /// Its id in the source.
    pub external_id: &'a str,
    /// Its text.
    pub text: &'a str,
    /// The version that the target gave it when it was delivered last, as far as that is known.
    pub version: Option<&'a str>,
}

impl Services {
    /// Makes clients; nothing is asked yet.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(tokens: Tokens, knowledge: Option<&str>, memory: Option<&str>) -> anyhow::Result<Self> {
        // The process has one TLS provider; whoever comes first installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(DEADLINE)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let plain = |url: Option<&str>| url.map(|url| url.trim_end_matches('/').to_owned());
        Ok(Self {
            http,
            tokens,
            knowledge: plain(knowledge),
            memory: plain(memory),
        })
    }

    /// Tells whether there is a knowledge service.
    #[must_use]
    pub fn has_knowledge(&self) -> bool {
        self.knowledge.is_some()
    }

    /// Reads from the knowledge service with the job's token; nothing when there is nothing.
    ///
    /// # Errors
    /// When the service does not answer, or refuses.
    pub async fn read_knowledge(
        &self,
        whose: For<'_>,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Option<Vec<u8>>, Failure> {
        knowledge::read(self, whose, path, query).await
    }

    /// Tells whether there is a service for a target.
    #[must_use]
    pub fn has(&self, target: &Target) -> bool {
        match target {
            Target::Memory(_) => self.memory.is_some(),
            Target::Knowledge(_) => self.knowledge.is_some(),
        }
    }

    /// Delivers an item; returns its version, where the target has versions.
    ///
    /// # Errors
    /// [`Refused::Item`] when the target cannot take it, [`Refused::Forbidden`] when it may not be written by this job,
    /// [`Refused::Run`] when the target is away or takes nothing, [`Refused::Lost`] when the job may be somebody else's.
    pub async fn put(
        &self,
        target: &Target,
        whose: For<'_>,
        delivery: Delivery<'_>,
    ) -> Result<Option<String>, Refused> {
        match target {
            Target::Memory(settings) => memory::put(self, settings, whose, delivery).await.map(|()| None),
            Target::Knowledge(settings) => knowledge::put(self, settings, whose, delivery).await,
        }
    }

    /// Removes an item, of which the version is known that was delivered last, or is not.
    ///
    /// # Errors
    /// As [`Services::put`].
    pub async fn remove(
        &self,
        target: &Target,
        whose: For<'_>,
        (id, version): (&str, Option<&str>),
    ) -> Result<(), Refused> {
        match target {
            Target::Memory(_) => memory::remove(self, whose, id).await,
            Target::Knowledge(_) => knowledge::remove(self, whose, (id, version)).await,
        }
    }

    /// Sends a request with the job's token, unless somebody else could have the job before its answer.
    async fn ask(&self, request: RequestBuilder, whose: For<'_>) -> Result<Response, Refused> {
        if !whose.lease.allows(DEADLINE) {
            return Err(Refused::Lost);
        }
        let request = self.tokens.show(request, whose).map_err(Refused::Run)?;
        request.send().await.map_err(|error| answer::away(&error))
    }
}

fn base<'a>(url: Option<&'a String>, setting: &str) -> Result<&'a str, Failure> {
    url.map(String::as_str).ok_or_else(|| {
        let message = format!("this service has no {setting}");
        Failure::new(Class::Config, "TARGET_DISABLED", message)
    })
}
