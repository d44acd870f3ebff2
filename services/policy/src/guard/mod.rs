//! Decides at a service's own door, by the last snapshot of the tenant's policies.
//!
//! The governance service is asked for snapshots and never for a decision, so nothing waits for it: while a snapshot is
//! good, requests are decided by it, and a new one is fetched beside them with the credentials of one of them. When it has
//! become too old, writes are refused ([`Code::PolicyStale`]) until there is a new one; reads go on by the old one, and
//! without any by the service's own rules alone.
//!
//! [`route`] says which permission a route asks for, [`layer`] asks before every handler, and [`judge`] answers a handler about
//! what only it knows: each item of a list, each file of an archive. Without the settings there is no
//! guard, and nothing of this happens.

mod ages;
mod client;
pub mod judge;
pub mod layer;
pub mod route;
mod settings;
mod tenants;

use std::sync::Arc;

use axum::http::HeaderMap;
use serde_json::Map;

use aeterna_kit::auth::Caller;
use aeterna_kit::clock;
use aeterna_kit::problem::{Code, Problem};

use crate::engine::Principal;
use crate::rbac::Role;
use crate::rbac::holding::settle;
use crate::snapshot::Held;
pub use judge::Judge;
use route::{About, Access};
pub use settings::GuardSettings;
use tenants::Tenants;

/// Decides by local snapshots.
#[derive(Debug, Clone)]
pub struct Guard(Arc<Tenants>);

impl Guard {
    /// Lets a request pass, or not; who goes on to decide about the things that it leads to is the answer.
    ///
    /// # Errors
    /// [`Code::Forbidden`] when the policies say no, [`Code::PolicyStale`] for a write when they are too old or unknown, and where
    /// they are unknown for a caller without a role.
    pub async fn admit(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
        about: About,
        access: Access,
    ) -> Result<Judge, Problem> {
        let held = self.0.current(caller, headers, access).await;
        let now = clock::now();
        if let Some(held) = &held {
            metrics::gauge!("policy_snapshot_age_seconds").set(self.0.greatest_age(held.age(now)));
        }
        match (held, access) {
            (Some(held), Access::Write) if held.is_stale(now) => {
                count("stale");
                Err(stale("the policies known here are too old to write by"))
            }
            (None, Access::Write) => {
                count("stale");
                Err(stale("the policies of the tenant are not known here yet"))
            }
            // Without a role nobody reads by the built-in policies: who shows none may only read by what is not known here.
            (None, Access::Read) if roles(None, caller).is_empty() => {
                count("stale");
                Err(stale(
                    "the policies of the tenant are not known here yet, and the caller shows no role",
                ))
            }
            (None, Access::Read) => {
                count("open");
                Ok(Judge::default())
            }
            (Some(held), Access::Read | Access::Write) => {
                let judge = Judge::new(held, caller, headers);
                judge.check(about).inspect_err(|_| count("deny"))?;
                count("allow");
                Ok(judge)
            }
        }
    }
}

fn stale(why: &str) -> Problem {
    let detail = format!("{why}, and the governance service gives no newer ones; try again soon");
    Problem::new(Code::PolicyStale, detail)
}

fn count(outcome: &'static str) {
    metrics::counter!("policy_decisions_total", "outcome" => outcome).increment(1);
}

/// Who it is, with the roles that count: the token's and those granted, without those taken away.
fn identify(held: &Held, caller: &Caller) -> Principal {
    Principal {
        id: caller.subject.clone(),
        on_behalf_of: caller.on_behalf_of.clone(),
        roles: roles(Some(held), caller),
        properties: Map::new(),
    }
}

/// The roles that count; the token's alone where nothing is held.
fn roles(held: Option<&Held>, caller: &Caller) -> Vec<Role> {
    let token: Vec<Role> = caller.roles.iter().filter_map(|name| Role::parse(name)).collect();
    settle(&token, held.map_or(&[], |held| held.known_of(&caller.subject))).roles
}
