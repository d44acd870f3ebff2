//! Answers requests to compare a tenant's live projection with the truth.

use std::time::Duration;

use aeterna_kit::auth::TenantScope;
use aeterna_kit::ids::TenantId;
use aeterna_tenancy::verifications::{self, Findings};
use aeterna_tenancy::{Error as TenancyError, routes, shards};

use crate::compare::{Comparison, Newer, compare_page};
use crate::drive::Context;
use crate::error::describe;
use crate::{Error, Result};

/// Between two looks for requests.
const IDLE: Duration = Duration::from_secs(1);

/// How long a request is kept from other relocators without being renewed.
const LEASE: Duration = Duration::from_secs(30);

/// Between two renewals: two may fail.
const RENEWAL: Duration = Duration::from_secs(10);

/// Answers requests until the process ends.
pub async fn run(context: Context) {
    loop {
        match verifications::claim(&context.pool, LEASE).await {
            Ok(Some((tenant, request))) => {
                let result = tokio::select! {
                    result = verify(&context, &tenant) => result.map_err(|error| describe(&error)),
                    () = renew(&context, &tenant, &request) => continue,
                };
                if let Err(error) = verifications::finish(&context.pool, &tenant, &request, result).await {
                    tracing::warn!(error = %describe(&error), "a verification's result cannot be recorded");
                }
            }
            Ok(None) => tokio::time::sleep(IDLE).await,
            Err(error) => {
                tracing::warn!(error = %describe(&error), "requests to verify cannot be read");
                tokio::time::sleep(IDLE).await;
            }
        }
    }
}

/// Keeps a request from other relocators, until the future is dropped.
async fn renew(context: &Context, tenant: &str, request: &str) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        if let Err(error) = verifications::renew(&context.pool, tenant, request, LEASE).await {
            tracing::warn!(error = %describe(&error), "a verification's lease cannot be renewed");
        }
    }
}

/// Compares and repairs the live projection of a tenant.
///
/// # Errors
/// Whatever the truth or the store answers, and [`Error::Unrepairable`].
pub async fn verify(context: &Context, tenant: &str) -> Result<Findings> {
    let tenant = TenantId::parse(tenant.to_owned())?;
    let route = routes::fetch_route(&context.pool, &tenant)
        .await?
        .ok_or_else(|| TenancyError::UnknownTenant {
            tenant: tenant.to_string(),
        })?;
    let shard = shards::fetch_shard(&context.pool, &route.shard_id)
        .await?
        .ok_or_else(|| TenancyError::UnknownShard {
            shard: route.shard_id.clone(),
        })?;
    let store = context.stores.at(&shard.endpoint)?;
    store.require_identity(&shard.collection, shard.identity).await?;
    let scope = TenantScope::for_worker(tenant);
    let comparison = Comparison {
        pool: &context.pool,
        store: &store,
        scope: &scope,
        shard: &shard,
        floor: route.floor,
        generation: route.generation,
        newer: Newer::Unconfirmed(&route),
    };
    let mut findings = Findings::default();
    let mut after = compare_page(&comparison, None, &mut findings).await?;
    while after.is_some() {
        after = compare_page(&comparison, after, &mut findings).await?;
    }
    // A flip in the meantime: the pass was about a projection that nobody reads any more.
    let still = routes::fetch_route(&context.pool, scope.tenant())
        .await?
        .is_some_and(|now| now == route);
    if still {
        Ok(findings)
    } else {
        Err(Error::Moved {
            tenant: route.tenant_id,
        })
    }
}
