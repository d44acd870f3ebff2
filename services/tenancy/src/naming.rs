//! Names of dedicated shards and collections.
//!
//! A tenant id is any string; a name of a shard or a collection is a DNS label. Ids that are labels of at most 32
//! characters stand in names as they are (`dedicated-large-corp`, `memories-large-corp`); all others, and those that begin
//! with `shared`, as a slug and a hash. The full name is stored with the shard and never computed again.

use sha2::{Digest as _, Sha256};

use aeterna_kit::ids::TenantId;

/// Longest tenant id that stands in a name unchanged; `memories-` and a suffix `-g999` still fit a DNS label of 63.
const LONGEST_PLAIN: usize = 32;

/// Returns the part of a name that stands for the tenant.
#[must_use]
pub fn slug(tenant: &TenantId) -> String {
    let id = tenant.as_str();
    let edge = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_label = id.len() <= LONGEST_PLAIN
        && id.bytes().all(|c| edge(c) || c == b'-')
        && id.bytes().next().is_some_and(edge)
        && id.bytes().last().is_some_and(edge);
    if is_label && !id.starts_with("shared") {
        return id.to_owned();
    }
    let plain: String = id
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| {
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                c
            } else {
                '-'
            }
        })
        .take(LONGEST_PLAIN - 11)
        .collect();
    // Five bytes: a trillion, for the tenants of one cluster.
    let [first, second, third, fourth, fifth, ..] = Sha256::digest(id.as_bytes()).0;
    let hash = format!("{first:02x}{second:02x}{third:02x}{fourth:02x}{fifth:02x}");
    format!("t-{}-{hash}", plain.trim_matches('-')).replace("--", "-")
}

/// Returns the default name of the tenant's dedicated shard.
#[must_use]
pub fn dedicated_shard(tenant: &TenantId) -> String {
    format!("dedicated-{}", slug(tenant))
}

/// Returns the name of the tenant's `nth` dedicated collection, counted from 1.
#[must_use]
pub fn dedicated_collection(tenant: &TenantId, nth: usize) -> String {
    match nth {
        0 | 1 => format!("memories-{}", slug(tenant)),
        later => format!("memories-{}-g{later}", slug(tenant)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tenant(id: &str) -> TenantId {
        TenantId::parse(id).expect("valid tenant id")
    }

    #[test]
    fn the_seeds_tenant_keeps_its_plain_name() {
        assert_eq!(dedicated_shard(&tenant("large-corp")), "dedicated-large-corp");
        assert_eq!(dedicated_collection(&tenant("large-corp"), 1), "memories-large-corp");
        assert_eq!(dedicated_collection(&tenant("large-corp"), 2), "memories-large-corp-g2");
    }

    #[test]
    fn a_tenant_called_shared_does_not_take_the_shared_collections_name() {
        assert_ne!(dedicated_collection(&tenant("shared"), 1), "memories-shared");
    }

    proptest! {
        #[test]
        fn every_name_is_a_dns_label(id in "[^\\p{Cc}]{1,32}") {
            let tenant = TenantId::parse(id.as_str()).expect("valid tenant id");
            let name = dedicated_collection(&tenant, 12);
            prop_assert!(name.len() <= 63, "{name}");
            prop_assert!(name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-'), "{name}");
            prop_assert!(!name.ends_with('-'));
        }

        #[test]
        fn different_tenants_have_different_names(a in "[A-Za-z_.-]{1,8}", b in "[A-Za-z_.-]{1,8}") {
            prop_assume!(a != b);
            prop_assert_ne!(slug(&tenant(&a)), slug(&tenant(&b)));
        }
    }
}
