//! Doing what was planned; every step may be repeated.

use aeterna_crds::VERIFY_ANNOTATION;
use aeterna_crds::v1alpha1::{PlacementMode, Reason, TenantShard};
use aeterna_kit::ids::TenantId;
use aeterna_plan::report::Because;
use aeterna_plan::tenant::wanted_shard;
use aeterna_tenancy::moves::{self, NewMove};
use aeterna_tenancy::routes::{self, Owner};
use aeterna_tenancy::shards::{self, NewShard, ShardKind, ShardState};
use aeterna_tenancy::{Error as TenancyError, MoveId, ShardId, naming, verifications};
use kube::ResourceExt as _;
use uuid::Uuid;

use super::observe::{self, Observation};
use super::{Context, Error, owner};
use crate::cluster::{build_shard, drop_retired, row_trouble, store_trouble};
use crate::registry::Handle;

/// A registered tenant and the shard that its spec asks for.
pub(super) struct Placed {
    pub wanted: String,
}

/// Registers the tenant for this object, on the shard that it asks for if it is new.
pub(super) async fn ensure_registered(
    context: &Context,
    object: &TenantShard,
    handle: &Handle,
    tenant: &TenantId,
) -> Result<Result<Placed, Because>, Error> {
    let default = naming::dedicated_shard(tenant);
    let route = routes::fetch_route(&handle.pool, tenant).await?;
    let seen = match &route {
        Some(_) => Some(observe::observe(handle, tenant).await?.view),
        None => None,
    };
    let wanted = match wanted_shard(&object.spec.placement, &default, seen.as_ref()) {
        Some(wanted) => wanted,
        None => match roomiest_shared(handle).await? {
            Some(shard) => shard,
            None => {
                let message = "no shared shard has room; add one to sharding.sharedShards, or raise a capacity";
                return Ok(Err(Because::new(Reason::ShardFull, message)));
            }
        },
    };
    // One that is taken out of the list keeps its tenants.
    if seen.is_none_or(|seen| seen.shard != wanted)
        && let Err(because) = check_shared(object, handle, &wanted)
    {
        return Ok(Err(because));
    }
    if route.is_none()
        && object.spec.placement.mode == PlacementMode::Dedicated
        && let Err(because) = prepare_dedicated(handle, tenant, &wanted, &handle.spec.embedding.default).await
    {
        return Ok(Err(because));
    }
    if let Some(route) = &route {
        owner::release_if_gone(context, object, handle, tenant, route).await?;
    }
    let owner = Owner {
        uid: object
            .uid()
            .and_then(|uid| Uuid::parse_str(&uid).ok())
            .unwrap_or_default(),
        name: format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any()),
    };
    match routes::claim_tenant(&handle.pool, handle.term, tenant, &ShardId::new(&wanted), &owner).await {
        Ok(_) => Ok(Ok(Placed { wanted })),
        Err(error) => refusal(error).map(Err),
    }
}

/// Sorts what the user can do about from what only time can.
fn refusal(error: TenancyError) -> Result<Because, Error> {
    let because = row_trouble(&error);
    if because.reason == Reason::DatabaseUnreachable {
        return Err(error.into());
    }
    let hint = if because.reason == Reason::TenantIdConflict {
        "; the first TenantShard keeps it, delete one of the two"
    } else if because.reason == Reason::ShardFull {
        "; raise its capacity, or choose another shard"
    } else {
        ""
    };
    Ok(Because::new(because.reason, format!("{error}{hint}")))
}

fn check_shared(object: &TenantShard, handle: &Handle, wanted: &str) -> Result<(), Because> {
    let named = object.spec.placement.shared.as_ref().is_some();
    let known = handle
        .spec
        .sharding
        .shared_shards
        .iter()
        .any(|shard| shard.name == wanted);
    if object.spec.placement.mode == PlacementMode::Shared && named && !known {
        let message = format!("shard {wanted} is not in the AeternaCluster's sharding.sharedShards; add it there");
        return Err(Because::new(Reason::ShardUnknown, message));
    }
    Ok(())
}

async fn roomiest_shared(handle: &Handle) -> Result<Option<String>, Error> {
    let listed = &handle.spec.sharding.shared_shards;
    let room = |used: &shards::ShardUse| i64::from(used.shard.capacity) - used.tenants;
    Ok(shards::fetch_shards(&handle.pool)
        .await?
        .into_iter()
        .filter(|used| listed.iter().any(|shard| shard.name == used.shard.shard_id.as_str()))
        .filter(|used| used.shard.state == ShardState::Ready && room(used) > 0)
        .max_by_key(|used| (room(used), std::cmp::Reverse(used.shard.shard_id.clone())))
        .map(|used| used.shard.shard_id.to_string()))
}

/// Makes the tenant's dedicated shard ready, for the model that the tenant has, or begins with.
async fn prepare_dedicated(handle: &Handle, tenant: &TenantId, name: &str, model: &str) -> Result<(), Because> {
    let endpoint = handle.spec.vector_store.external.url.clone();
    let dimension = handle.spec.embedding.dimension(model).ok_or_else(|| {
        let message = format!("the tenant's model is {model}, which the AeternaCluster's embedding.models must list");
        Because::new(Reason::ModelUnknown, message)
    })?;
    let new = NewShard {
        shard_id: ShardId::new(name),
        tenant: Some(tenant.clone()),
        endpoint: endpoint.clone(),
        collection: naming::dedicated_collection(tenant, 1),
        model: model.to_owned(),
        dimension,
        capacity: 1,
    };
    let shard = shards::record_shard(&handle.pool, handle.term, &new)
        .await
        .map_err(|error| row_trouble(&error))?;
    let client = handle.stores.at(&endpoint).map_err(|error| store_trouble(&error))?;
    build_shard(&handle.pool, handle.term, &client, &shard).await
}

/// Provisions the target and records the move.
pub(super) async fn begin_move(
    object: &TenantShard,
    handle: &Handle,
    tenant: &TenantId,
    model: &str,
    placed: &Placed,
) -> Result<Option<Because>, Error> {
    if object.spec.placement.mode == PlacementMode::Dedicated
        && let Err(because) = prepare_dedicated(handle, tenant, &placed.wanted, model).await
    {
        return Ok(Some(because));
    }
    let own = object
        .spec
        .move_options
        .as_ref()
        .and_then(|options| options.retention_seconds);
    let retention = own.unwrap_or(handle.spec.sharding.retention_seconds);
    let new = NewMove {
        tenant: tenant.clone(),
        operation: format!(
            "{}/{}",
            object.uid().unwrap_or_default(),
            object.metadata.generation.unwrap_or_default()
        ),
        target: ShardId::new(&placed.wanted),
        retention: jiff::SignedDuration::from_secs(retention),
    };
    match moves::record(&handle.pool, handle.term, &new).await {
        // Recorded; or somebody was faster, and the next look follows that move.
        Ok(_) | Err(TenancyError::AlreadyMoving { .. }) => Ok(None),
        Err(error) => refusal(error).map(Some),
    }
}

/// Cancels a move that has not switched; one that has by now is left alone, and the next look plans anew.
pub(super) async fn cancel(handle: &Handle, id: &str) -> Result<Option<Because>, Error> {
    if let Ok(id) = Uuid::parse_str(id) {
        moves::cancel(&handle.pool, handle.term, MoveId(id)).await?;
    }
    Ok(None)
}

/// Records the request that the annotation asks for.
pub(super) async fn request_verification(
    object: &TenantShard,
    handle: &Handle,
    tenant: &TenantId,
) -> Result<(), Error> {
    if let Some(request) = object
        .annotations()
        .get(VERIFY_ANNOTATION)
        .filter(|request| !request.is_empty())
    {
        verifications::request(&handle.pool, handle.term, tenant, request).await?;
    }
    Ok(())
}

/// Retires dedicated shards that the tenant has left for good, and drops their collections.
pub(super) async fn retire_unused(handle: &Handle, seen: &Observation, wanted: &str) -> Result<(), Error> {
    let mut left: Vec<&ShardId> = seen
        .moves
        .iter()
        .filter(|moving| moving.progress.step.is_final())
        .flat_map(|moving| [&moving.source, &moving.target])
        .filter(|shard| **shard != seen.shard.shard_id && shard.as_str() != wanted)
        .collect();
    left.sort_unstable();
    left.dedup();
    for name in left {
        let Some(shard) = shards::fetch_shard(&handle.pool, name).await? else {
            continue;
        };
        if shard.kind != ShardKind::Dedicated || shard.state == ShardState::Retired {
            continue;
        }
        if shards::retire_if_unused(&handle.pool, handle.term, &shard).await? {
            drop_retired(handle).await;
        }
    }
    Ok(())
}
