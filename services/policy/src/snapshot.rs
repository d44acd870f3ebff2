//! A tenant's policies at one moment, as the governance service signs them and the others believe them.
//!
//! Pure. A snapshot says whose it is, how old it may become, and which roles were given or taken at the governance service;
//! a token does not know of those. Whose they are is not readable: the names are hashed, for whoever may fetch a snapshot
//! need not be one who may list roles; a guard knows the name that it looks for. What cannot be believed in every point is not taken at all.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use aeterna_kit::hex::hex;
use aeterna_kit::ids::TenantId;

use crate::engine::{Active, Compiled, compiled};
use crate::rbac::Role;
use crate::rbac::holding::{Holding, Source};
use crate::signed::{Domain, PublicKeys, Signed};

/// How far the clocks of two services may be apart.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);

/// What is signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Whose.
    pub tenant_id: String,
    /// Rises with every change of the policies.
    pub version: i64,
    /// The hash of the set.
    pub policy_set_hash: String,
    /// When it was made.
    pub issued_at: Timestamp,
    /// From when on nothing is written by it.
    pub max_age_seconds: u32,
    /// The active policies; absent for who has said that he has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<Vec<Active>>,
    /// Roles that were given or taken away, whatever a token says.
    pub roles: Vec<Assigned>,
}

/// A role that was given or taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// Whose: [`holder`].
    pub holder: String,
    /// Which.
    pub role: Role,
    /// Taken away.
    pub revoked: bool,
}

/// Returns what stands in a snapshot for a principal's name: SHA-256 over the tenant and the name. Nobody reads a name out of
/// it; who guesses one can find out that it is there.
#[must_use]
pub fn holder(tenant: &str, principal: &str) -> String {
    let digest = Sha256::new()
        .chain_update(b"aeterna.role-holder.v1\n")
        // A tenant's id has no such character.
        .chain_update(tenant)
        .chain_update(b"\n")
        .chain_update(principal);
    hex(&digest.finalize())
}

/// Why a snapshot is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It was not signed with the key, or changed since.
    #[error("the snapshot is not signed with the key of the governance service")]
    Forged,
    /// It is signed and cannot be read.
    #[error("the snapshot cannot be read")]
    Unreadable(#[from] serde_json::Error),
    /// It is another tenant's.
    #[error("the snapshot is another tenant's")]
    Foreign,
    /// It is from a time that has not come.
    #[error("the snapshot was made in the future: look at the clocks")]
    Future,
    /// Its policies are not those that its hash is of.
    #[error("the snapshot's policies are not those of its hash")]
    Mixed,
}

impl Refused {
    /// Returns its name for metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Forged => "forged",
            Self::Unreadable(_) => "unreadable",
            Self::Foreign => "foreign",
            Self::Future => "future",
            Self::Mixed => "mixed",
        }
    }
}

/// A snapshot that was believed, compiled.
#[derive(Debug)]
pub struct Held {
    /// The policies.
    pub set: Arc<Compiled>,
    tenant: TenantId,
    issued_at: Timestamp,
    max_age: SignedDuration,
    roles: HashMap<String, Vec<Holding>>,
}

impl Held {
    /// Believes a snapshot, or not. `before` is what is held of the tenant: the compiled policies are taken from it where they
    /// are the same. A new set takes a while to compile: not for the runtime.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn open(
        signed: &Signed,
        keys: &PublicKeys,
        tenant: &TenantId,
        now: Timestamp,
        before: Option<&Self>,
    ) -> Result<Self, Refused> {
        let text = keys.verify(Domain::PolicySnapshot, signed).ok_or(Refused::Forged)?;
        let snapshot: Snapshot = serde_json::from_str(text)?;
        if snapshot.tenant_id != tenant.as_str() {
            return Err(Refused::Foreign);
        }
        if snapshot.issued_at.duration_since(now) > LEEWAY {
            return Err(Refused::Future);
        }
        let wanted = snapshot.policy_set_hash;
        let same = before.map(|held| &held.set).filter(|set| set.hash() == wanted);
        let set = match (snapshot.policies, same) {
            (None, None) => return Err(Refused::Mixed),
            (Some(policies), _) if compiled::hash(&policies) != wanted => return Err(Refused::Mixed),
            (_, Some(set)) => Arc::clone(set),
            (Some(policies), None) => Arc::new(Compiled::build(policies)),
        };
        let mut roles: HashMap<String, Vec<Holding>> = HashMap::new();
        for Assigned { holder, role, revoked } in snapshot.roles {
            let source = Source::Grant;
            roles.entry(holder).or_default().push(Holding { role, source, revoked });
        }
        Ok(Self {
            set,
            tenant: tenant.clone(),
            issued_at: snapshot.issued_at,
            max_age: SignedDuration::from_secs(i64::from(snapshot.max_age_seconds)),
            roles,
        })
    }

    /// Returns how old it is.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.issued_at)
    }

    /// Tells whether it is too old to write by.
    #[must_use]
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.age(now) >= self.max_age
    }

    /// Tells whether it was made after another one. A replayed older one never takes the place of a newer.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self.issued_at > other.issued_at
    }

    /// Returns what is remembered of a principal's roles.
    #[must_use]
    pub fn known_of(&self, principal: &str) -> &[Holding] {
        let holder = holder(self.tenant.as_str(), principal);
        self.roles.get(&holder).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
