//! Streams of statuses that may be open at once: so many in all, and so many of one tenant. Each asks the database four times a
//! second, and one tenant shall not have them all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aeterna_kit::ids::TenantId;

/// The places of all streams; clones are of the same ones.
#[derive(Debug, Clone)]
pub struct Streams {
    taken: Arc<Mutex<HashMap<TenantId, usize>>>,
    most: usize,
    most_of_one: usize,
}

/// The place of one stream, free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    streams: Streams,
    tenant: TenantId,
}

impl Streams {
    /// Has places for `most` streams, and for `most_of_one` of one tenant.
    #[must_use]
    pub fn new(most: usize, most_of_one: usize) -> Self {
        Self {
            taken: Arc::default(),
            most,
            most_of_one,
        }
    }

    /// Gives a tenant's stream a place, if there is one.
    #[must_use]
    pub fn enter(&self, tenant: &TenantId) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let own = taken.get(tenant).copied().unwrap_or_default();
        if all >= self.most || own >= self.most_of_one {
            return None;
        }
        taken.insert(tenant.clone(), own + 1);
        Some(Place {
            streams: self.clone(),
            tenant: tenant.clone(),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.streams.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.tenant) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_so_many_places_and_all_together_have_so_many() {
        let tenant = |name: &str| TenantId::parse(name).expect("a tenant");
        let streams = Streams::new(3, 2);
        let first = streams.enter(&tenant("acme"));
        let second = streams.enter(&tenant("acme"));
        assert!(first.is_some() && second.is_some() && streams.enter(&tenant("acme")).is_none());
        let third = streams.enter(&tenant("globex"));
        assert!(third.is_some() && streams.enter(&tenant("globex")).is_none());
        drop(first);
        assert!(streams.enter(&tenant("initech")).is_some(), "and left again at once");
        let again = streams.enter(&tenant("acme"));
        assert!(again.is_some() && streams.enter(&tenant("acme")).is_none());
        drop((second, third, again));
        assert!(streams.taken.lock().expect("not poisoned").is_empty());
    }
}
