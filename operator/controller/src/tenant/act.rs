//! Doing what was planned; every step may be repeated.

use aeterna_crds::v1alpha1::{DeletionPolicy, PlacementMode, Reason, TenantShard};
use aeterna_crds::{FINALIZER, VERIFY_ANNOTATION};
use aeterna_kit::ids::TenantId;
use aeterna_plan::report::Because;
use aeterna_plan::tenant::wanted_shard;
use aeterna_tenancy::moves::{self, NewMove};
use aeterna_tenancy::routes::{self, Owner};
use aeterna_tenancy::shards::{self, NewShard, ShardKind, ShardState};
use aeterna_tenancy::{Error as TenancyError, MoveId, ShardId, naming, verifications};
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use uuid::Uuid;

use super::observe::{self, Observation};
use super::{Context, Error, has_finalizer, needs_finalizer, owner};
use crate::cluster::{prepare_shard, store_trouble};
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
    if let Err(because) = check_shared(object, handle, &wanted) {
        return Ok(Err(because));
    }
    if route.is_none()
        && object.spec.placement.mode == PlacementMode::Dedicated
        && let Err(because) = prepare_dedicated(handle, tenant, &wanted).await
    {
        return Ok(Err(because));
    }
    if let Some(route) = &route {
        owner::release_if_gone(context, handle, tenant, route).await?;
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
    let (reason, hint) = match &error {
        TenancyError::TenantOwnedByAnother { .. } => (
            Reason::TenantIdConflict,
            "; the first TenantShard keeps it, delete one of the two",
        ),
        TenancyError::UnknownShard { .. } | TenancyError::ShardNotReady { .. } => (Reason::ShardUnknown, ""),
        TenancyError::ShardFull { .. } => (Reason::ShardFull, "; raise its capacity, or choose another shard"),
        TenancyError::CollectionNameUsed { .. }
        | TenancyError::ShardKindDiffers { .. }
        | TenancyError::ShardModelDiffers { .. }
        | TenancyError::ShardEndpointDiffers { .. }
        | TenancyError::ShardOfAnotherTenant { .. } => (Reason::CollectionNotOurs, ""),
        TenancyError::Database { .. }
        | TenancyError::Transaction { .. }
        | TenancyError::TermOver { .. }
        | TenancyError::Fenced { .. }
        | TenancyError::DatabaseOwnedByAnother { .. }
        | TenancyError::UnknownTenant { .. }
        | TenancyError::AlreadyMoving { .. }
        | TenancyError::UnknownValue { .. } => return Err(error.into()),
    };
    Ok(Because::new(reason, format!("{error}{hint}")))
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

/// Makes the tenant's dedicated shard ready.
async fn prepare_dedicated(handle: &Handle, tenant: &TenantId, name: &str) -> Result<(), Because> {
    let endpoint = handle.spec.vector_store.external.url.clone();
    let embedding = &handle.spec.embedding;
    let model = embedding.models.iter().find(|model| model.name == embedding.default);
    let remote = model.and_then(|model| model.open_ai_compatible.as_ref());
    let new = NewShard {
        shard_id: ShardId::new(name),
        tenant: Some(tenant.clone()),
        endpoint: endpoint.clone(),
        collection: naming::dedicated_collection(tenant, 1),
        model: embedding.default.clone(),
        dimension: remote.map_or(256, |remote| remote.dimension),
        capacity: 1,
    };
    let client = handle.stores.at(&endpoint).map_err(|error| store_trouble(&error))?;
    prepare_shard(&handle.pool, handle.term, &client, &new)
        .await
        .map(|_| ())
}

/// Provisions the target and records the move.
pub(super) async fn begin_move(
    object: &TenantShard,
    handle: &Handle,
    tenant: &TenantId,
    placed: &Placed,
) -> Result<Option<Because>, Error> {
    if object.spec.placement.mode == PlacementMode::Dedicated
        && let Err(because) = prepare_dedicated(handle, tenant, &placed.wanted).await
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
            // The row says retired: should this fail, the collection is only left over, and its name never used again.
            if let Ok(client) = handle.stores.at(&shard.endpoint)
                && let Err(error) = client.drop_collection(&shard).await
            {
                tracing::warn!(shard = %shard.shard_id, %error, "a retired shard's collection is left over");
            }
        }
    }
    Ok(())
}

/// Puts the finalizer on when deleting has something to clean, and takes it off when it has not.
pub(super) async fn keep_finalizer(context: &Context, object: &TenantShard) -> Result<(), Error> {
    if needs_finalizer(object) == has_finalizer(object) {
        return Ok(());
    }
    let mut finalizers: Vec<String> = object.finalizers().to_vec();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    if needs_finalizer(object) {
        finalizers.push(FINALIZER.to_owned());
    }
    write_finalizers(context, object, &finalizers).await
}

async fn write_finalizers(context: &Context, object: &TenantShard, finalizers: &[String]) -> Result<(), Error> {
    let api: Api<TenantShard> = Api::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    // The version makes it a compare-and-set: nobody else's finalizer is lost.
    let body = json!({"metadata": {
        "finalizers": finalizers, "resourceVersion": object.resource_version() }});
    match api
        .patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(&body))
        .await
    {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        Err(source) => Err(Error::Api {
            operation: "write the finalizers",
            source: Box::new(source),
        }),
    }
}

/// Does what the deletion policy asks for, and lets the object go. Without its cluster there is nothing to let go of.
pub(super) async fn clean_up(context: &Context, object: &TenantShard, handle: Option<&Handle>) -> Result<(), Error> {
    if !has_finalizer(object) {
        return Ok(());
    }
    if let (Some(handle), DeletionPolicy::Release, Ok(tenant)) = (
        handle,
        object.spec.deletion_policy,
        TenantId::parse(object.spec.tenant_id.clone()),
    ) {
        let uid = object
            .uid()
            .and_then(|uid| Uuid::parse_str(&uid).ok())
            .unwrap_or_default();
        let owner = routes::fetch_route(&handle.pool, &tenant)
            .await?
            .and_then(|route| route.owner_uid);
        if owner == Some(uid) {
            let running = moves::fetch_moves(&handle.pool, &tenant, 1).await?;
            if let Some(moving) = running.first().filter(|moving| moving.progress.step.is_before_retain()) {
                moves::cancel(&handle.pool, handle.term, moving.move_id).await?;
            }
            routes::release_tenant(&handle.pool, handle.term, &tenant, uid).await?;
        }
    }
    let mut finalizers: Vec<String> = object.finalizers().to_vec();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    write_finalizers(context, object, &finalizers).await
}
