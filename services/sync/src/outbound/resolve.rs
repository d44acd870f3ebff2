//! Names into addresses that may be reached.
//!
//! The addresses that this returns are the ones that are connected to: what a name means is asked once and judged once, so an
//! answer that changes in between changes nothing.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::guard::{Exemption, admits};

/// A host none of whose addresses may be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} is not a public address")]
pub(super) struct Forbidden {
    pub(super) host: String,
}

/// Asks the system, and keeps what may be reached.
#[derive(Debug, Clone)]
pub(super) struct Guarded(pub(super) Arc<[Exemption]>);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let exemptions = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let (mut all, mut admitted) = (0_usize, Vec::new());
            for address in found {
                all += 1;
                if admits(&exemptions, name.as_str(), address.ip()) {
                    admitted.push(address);
                }
            }
            if admitted.is_empty() && all > 0 {
                let host = name.as_str().to_owned();
                return Err(Forbidden { host }.into());
            }
            let addresses: Addrs = Box::new(admitted.into_iter());
            Ok(addresses)
        })
    }
}

/// Tells whether a URL's host is an address that may not be reached; names are judged when they are resolved.
pub(super) fn is_forbidden_address(exemptions: &[Exemption], host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>()
        .is_ok_and(|address| !admits(exemptions, host, address))
}

/// Tells whether an error says that a host may not be reached.
pub(super) fn is_forbidden(error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if error.is::<Forbidden>() {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_of_this_machine_resolves_to_nothing_unless_it_is_exempt() {
        let resolve = |exemptions: Vec<Exemption>| async move {
            let name: Name = "localhost".parse().expect("a name");
            Guarded(exemptions.into()).resolve(name).await.map(Iterator::count)
        };
        let refused = resolve(Vec::new()).await.expect_err("refused");
        assert!(refused.is::<Forbidden>(), "{refused}");
        let exempt: Exemption = "localhost".parse().expect("a name");
        assert!(resolve(vec![exempt]).await.is_ok_and(|found| found > 0));
    }

    #[test]
    fn an_address_in_a_url_is_judged_without_a_resolver() {
        assert!(is_forbidden_address(&[], "127.0.0.1") && is_forbidden_address(&[], "[::1]"));
        assert!(!is_forbidden_address(&[], "1.1.1.1") && !is_forbidden_address(&[], "localhost"));
    }
}
