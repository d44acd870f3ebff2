//! Places for exports: so many in all, and so many of one tenant's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aeterna_kit::ids::TenantId;

/// Exports at once: each holds up to a page of items, 25 MiB of them, as long as its reader takes. More are told to come back.
const AT_ONCE: usize = 8;

/// Exports of one tenant at once, so that others have theirs.
const OF_ONE: usize = 3;

/// The places; a clone is the same places.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<Mutex<HashMap<TenantId, usize>>>);

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place {
    tenant: TenantId,
    places: Places,
}

impl Places {
    /// Takes a place for a tenant, if there is one.
    #[must_use]
    pub fn take(&self, tenant: &TenantId) -> Option<Place> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(tenant).copied().unwrap_or_default();
        if own >= OF_ONE || taken.values().sum::<usize>() >= AT_ONCE {
            return None;
        }
        taken.insert(tenant.clone(), own + 1);
        let (tenant, places) = (tenant.clone(), self.clone());
        Some(Place { tenant, places })
    }

    /// Returns how many are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.tenant) {
            *own = own.saturating_sub(1);
        }
        taken.retain(|_, own| *own > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).expect("a tenant")
    }

    #[test]
    fn one_tenant_leaves_places_to_others_and_all_together_have_their_limit() {
        let places = Places::default();
        let mut held: Vec<Place> = (0..OF_ONE).filter_map(|_| places.take(&tenant("acme"))).collect();
        assert_eq!(held.len(), OF_ONE);
        assert!(places.take(&tenant("acme")).is_none());
        for name in ["globex", "initech", "umbrella"] {
            held.extend((0..OF_ONE).filter_map(|_| places.take(&tenant(name))));
        }
        assert_eq!((held.len(), places.taken()), (AT_ONCE, AT_ONCE));
        drop(held);
        assert_eq!(places.taken(), 0);
        assert!(places.take(&tenant("acme")).is_some());
    }
}
