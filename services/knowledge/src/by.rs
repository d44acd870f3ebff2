//! By whom something is asked or done.
//!
//! Handlers take it out of a request ([`crate::routes`]), the store writes in its name. Nothing here asks the database, or knows
//! HTTP.

use aeterna_kit::auth::TenantScope;
use aeterna_policy::guard::Judge;
use aeterna_policy::rbac::action;

use crate::access::Rights;
use crate::permissions::about;

/// A caller, as this service looks at one.
#[derive(Debug, Clone)]
pub struct By {
    /// In whose tenant.
    pub scope: TenantScope,
    /// With which rights.
    pub rights: Rights,
    /// Under which policies.
    pub judge: Judge,
}

impl By {
    /// Tells whether the policies let the caller find an item and read it: its path, and its kind, layer and status.
    #[must_use]
    pub fn may_find(&self, path: &str, what: [&str; 3]) -> bool {
        [action::KNOWLEDGE_SEARCH, action::KNOWLEDGE_READ]
            .into_iter()
            .all(|action| self.judge.allows(about(action, path, what)))
    }
}
