//! Who calls, and for which tenant.

use crate::ids::TenantId;

/// The right to see one tenant's rows.
///
/// Only the auth extractor makes one for a request, from what the caller has proved. Workers, which act for a tenant that
/// a row names, say so with [`TenantScope::for_worker`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TenantScope(TenantId);

impl TenantScope {
    /// Makes the scope of a worker: relay, relocator, sweeper. Never for a request.
    #[must_use]
    pub fn for_worker(tenant: TenantId) -> Self {
        Self(tenant)
    }

    /// Returns the tenant.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.0
    }
}
