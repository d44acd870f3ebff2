//! By whom something is asked or done.
//!
//! Handlers take it out of a request ([`crate::routes`]), the store writes in its name. Nothing here asks the database, or knows
//! HTTP.

use aeterna_kit::auth::TenantScope;
use aeterna_policy::guard::Judge;

use crate::access::Rights;

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
