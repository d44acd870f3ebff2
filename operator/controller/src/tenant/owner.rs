//! Whose a tenant is: the first TenantShard that claims it keeps it, for as long as it exists.

use aeterna_crds::v1alpha1::TenantShard;
use aeterna_kit::ids::TenantId;
use aeterna_tenancy::routes::{self, Route};
use kube::ResourceExt as _;
use kube::api::Api;

use super::{Context, Error};
use crate::registry::Handle;

/// Lets go of a tenant whose TenantShard was deleted without doing so itself (`deletionPolicy: Retain`).
pub(super) async fn release_if_gone(
    context: &Context,
    object: &TenantShard,
    handle: &Handle,
    tenant: &TenantId,
    route: &Route,
) -> Result<(), Error> {
    let (Some(uid), Some(name)) = (route.owner_uid, route.owner_name.as_deref()) else {
        return Ok(());
    };
    if object.uid() == Some(uid.to_string()) {
        return Ok(());
    }
    let Some((namespace, name)) = name.split_once('/') else {
        return Ok(());
    };
    let api: Api<TenantShard> = Api::namespaced(context.client.clone(), namespace);
    let owner = api.get_opt(name).await.map_err(|source| Error::Api {
        operation: "read the TenantShard that owns the tenant",
        source: Box::new(source),
    })?;
    if owner.and_then(|owner| owner.uid()) == Some(uid.to_string()) {
        return Ok(());
    }
    Ok(routes::release_tenant(&handle.pool, handle.term, tenant, uid).await?)
}
