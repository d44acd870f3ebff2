//! Bringing a cluster's stores to where they should be, one stage after the other; every step may be repeated.

use aeterna_crds::v1alpha1::{AeternaCluster, ShardStatus};
use aeterna_plan::report::Because;
use aeterna_tenancy::shards;
use kube::ResourceExt as _;
use sqlx::PgPool;

use super::{Context, Error, database, vectors};
use crate::registry::{Handle, Look};

/// How far the stores are.
pub(super) struct StoresSeen {
    pub database: Result<(), Because>,
    pub migrated: Result<(), Because>,
    pub vector_store: Result<(), Because>,
    pub shards: Vec<ShardStatus>,
    /// The schemas were there in this process's time: a database that is away now takes no service down.
    pub reached_once: bool,
}

/// Brings database, schemas, vector store and shared shards up, as far as they go, and keeps what was found for the tenants.
pub(super) async fn prepare_stores(
    context: &Context,
    cluster: &AeternaCluster,
    namespace: &str,
) -> Result<StoresSeen, Error> {
    context.registry.forget_other(namespace, cluster.uid().as_deref());
    let mut seen = StoresSeen {
        database: Ok(()),
        migrated: Ok(()),
        vector_store: Ok(()),
        shards: Vec::new(),
        reached_once: context.registry.get(namespace).is_some(),
    };
    advance(context, cluster, namespace, &mut seen).await?;
    let look = Look {
        uid: cluster.uid(),
        database: seen.database.clone(),
        vector_store: seen.vector_store.clone(),
    };
    context.registry.keep_look(namespace, look);
    Ok(seen)
}

async fn advance(
    context: &Context,
    cluster: &AeternaCluster,
    namespace: &str,
    seen: &mut StoresSeen,
) -> Result<(), Error> {
    let pool = match database::reach(context, cluster, namespace).await? {
        Ok(pool) => pool,
        Err(because) => {
            seen.migrated = waiting("the database", &because);
            seen.vector_store = waiting("the database", &because);
            seen.database = Err(because);
            return Ok(());
        }
    };
    if let Err(because) = database::migrate(context, cluster, namespace, &pool).await? {
        seen.vector_store = waiting("the schemas", &because);
        seen.migrated = Err(because);
        return Ok(());
    }
    let term = match database::claim(context, cluster, namespace, &pool).await? {
        Ok(term) => term,
        Err(because) => {
            seen.vector_store = waiting("the database", &because);
            seen.database = Err(because);
            return Ok(());
        }
    };
    seen.reached_once = true;
    match vectors::prepare_shards(context, cluster, namespace, &pool, term).await? {
        Ok((stores, key_digest)) => {
            let handle = Handle {
                uid: cluster.uid(),
                pool: pool.clone(),
                stores,
                key_digest,
                term,
                spec: cluster.spec.clone(),
            };
            vectors::drop_retired(&handle).await;
            context.registry.put(namespace, handle);
        }
        Err(because) => seen.vector_store = Err(because),
    }
    seen.shards = observe_shards(&pool).await;
    Ok(())
}

fn waiting(for_what: &str, because: &Because) -> Result<(), Because> {
    Err(Because::new(because.reason, format!("waiting for {for_what}")))
}

/// Lists the shards, if the database can tell.
async fn observe_shards(pool: &PgPool) -> Vec<ShardStatus> {
    let listed = shards::fetch_shards(pool).await.unwrap_or_default();
    let status = |used: shards::ShardUse| ShardStatus {
        name: used.shard.shard_id.to_string(),
        collection: used.shard.collection,
        tenants: used.tenants,
        capacity: used.shard.capacity,
    };
    listed.into_iter().map(status).collect()
}
