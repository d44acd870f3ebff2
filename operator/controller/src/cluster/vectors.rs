//! The vector store and the shards in it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use aeterna_crds::v1alpha1::{AeternaCluster, Reason, SharedShard};
use aeterna_plan::report::Because;
use aeterna_projection::store::{self, OLDEST_QDRANT, Stores};
use aeterna_tenancy::shards::{self, NewShard, Shard, ShardState, ShardUse, listed, retired};
use aeterna_tenancy::{Error as TenancyError, ShardId, Term};
use sqlx::PgPool;

use super::secrets::fetch_secret;
use super::{Context, Error};
use crate::registry::Handle;

/// Makes the shared shards ready; returns the stores and a digest of their key.
pub(super) async fn prepare_shards(
    context: &Context,
    cluster: &AeternaCluster,
    namespace: &str,
    pool: &PgPool,
    term: Term,
) -> Result<Result<(Arc<Stores>, u64), Because>, Error> {
    let key = match &cluster.spec.vector_store.external.api_key_secret_ref {
        None => None,
        Some(from) => match fetch_secret(&context.client, namespace, from).await? {
            Ok(key) => Some(key),
            Err(because) => return Ok(Err(because)),
        },
    };
    let mut hash = DefaultHasher::new();
    key.hash(&mut hash);
    let digest = hash.finish();
    let stores = match context.registry.get(namespace) {
        // The connections stay for as long as the key does.
        Some(known) if known.key_digest == digest => known.stores,
        _ => Arc::new(Stores::new(key)),
    };
    let hear = |error: TenancyError| {
        context.registry.hear(namespace, &error);
        row_trouble(&error)
    };
    let prepared = async {
        let known = shards::fetch_shards(pool).await.map_err(hear)?;
        require_url(cluster, &known)?;
        let client = stores
            .at(&cluster.spec.vector_store.external.url)
            .map_err(|error| store_trouble(&error))?;
        require_version(&client).await?;
        let mut names = Vec::new();
        for shard in &cluster.spec.sharding.shared_shards {
            let new = new_shared(cluster, shard, &known)?;
            let shard = shards::record_shard(pool, term, &new).await.map_err(hear)?;
            build(pool, term, &client, &shard).await?;
            names.push(new.shard_id);
        }
        listed::follow_list(pool, term, &names).await.map_err(hear)
    };
    Ok(prepared.await.map(|()| (stores, digest)))
}

/// Refuses a URL that is not that of the collections that are there.
fn require_url(cluster: &AeternaCluster, known: &[ShardUse]) -> Result<(), Because> {
    let url = &cluster.spec.vector_store.external.url;
    let built = |used: &&ShardUse| used.shard.state != ShardState::Building && used.shard.endpoint != *url;
    match known.iter().find(built) {
        None => Ok(()),
        Some(used) => Err(Because::new(
            Reason::VectorStoreUrlChanged,
            format!(
                "vectorStore.external.url is {url}, and the collection of shard {} is at {}: write the old URL again, and \
                 change where its name leads, or make another AeternaCluster",
                used.shard.shard_id, used.shard.endpoint
            ),
        )),
    }
}

async fn require_version(client: &store::Store) -> Result<(), Because> {
    let (major, minor) = client.fetch_version().await.map_err(|error| store_trouble(&error))?;
    if (major, minor) >= OLDEST_QDRANT {
        return Ok(());
    }
    let message = format!("the vector store is Qdrant {major}.{minor}; 1.17 or newer is needed");
    Err(Because::new(Reason::VectorStoreTooOld, message))
}

/// The row and collection of a shared shard. One that is there keeps the model that it began with.
fn new_shared(cluster: &AeternaCluster, shard: &SharedShard, known: &[ShardUse]) -> Result<NewShard, Because> {
    let collection = match shard.name.as_str() {
        "shared-shard-1" => "memories-shared".to_owned(),
        other => format!("memories-{other}"),
    };
    let embedding = &cluster.spec.embedding;
    let found = known.iter().find(|used| used.shard.shard_id.as_str() == shard.name);
    let model = found.map_or(&embedding.default, |used| &used.shard.model);
    let dimension = embedding.dimension(model).ok_or_else(|| {
        let message = format!(
            "shard {} holds vectors of {model}, which embedding.models must list",
            shard.name
        );
        Because::new(Reason::ModelUnknown, message)
    })?;
    Ok(NewShard {
        shard_id: ShardId::new(&shard.name),
        tenant: None,
        endpoint: cluster.spec.vector_store.external.url.clone(),
        collection,
        model: model.clone(),
        dimension,
        capacity: shard.capacity,
    })
}

/// Makes a recorded shard's collection, and declares it ready.
pub(crate) async fn build(pool: &PgPool, term: Term, client: &store::Store, shard: &Shard) -> Result<(), Because> {
    client
        .ensure_collection(shard)
        .await
        .map_err(|error| store_trouble(&error))?;
    if shard.state == ShardState::Building {
        shards::mark_ready(pool, term, shard)
            .await
            .map_err(|error| row_trouble(&error))?;
    }
    Ok(())
}

/// Drops the collections of lives that are over. What fails is tried again by the next pass, for it stays recorded.
pub(crate) async fn drop_retired(handle: &Handle) {
    let undropped = match retired::fetch_undropped(&handle.pool).await {
        Ok(undropped) => undropped,
        Err(error) => {
            tracing::warn!(%error, "retired collections are not dropped yet");
            return;
        }
    };
    let mut away: Option<String> = None;
    for gone in undropped {
        // A store that does not answer is asked once a pass.
        if away.as_deref() == Some(gone.endpoint.as_str()) {
            continue;
        }
        let dropped = async {
            let client = handle.stores.at(&gone.endpoint)?;
            client.drop_collection(&gone.collection, gone.identity).await
        };
        match dropped.await {
            Ok(()) => {}
            // Somebody has made another one of that name: that is not ours to drop.
            Err(error @ store::Error::OtherIdentity { .. }) => {
                tracing::warn!(collection = gone.collection, %error, "a retired collection is left alone");
            }
            Err(error) => {
                tracing::warn!(collection = gone.collection, %error, "a retired collection is not dropped yet");
                away = Some(gone.endpoint);
                continue;
            }
        }
        if let Err(error) = retired::record_dropped(&handle.pool, &gone).await {
            tracing::warn!(collection = gone.collection, %error, "a drop is not recorded yet");
        }
    }
}

/// Words an error of the rows of shards.
pub(crate) fn row_trouble(error: &TenancyError) -> Because {
    let reason = match error {
        TenancyError::CollectionNameUsed { .. } | TenancyError::ShardOfAnotherTenant { .. } => {
            Reason::CollectionNotOurs
        }
        TenancyError::ShardModelDiffers { .. } => Reason::VectorStoreDimensionMismatch,
        TenancyError::ShardEndpointDiffers { .. } => Reason::VectorStoreUrlChanged,
        TenancyError::ShardKindDiffers { .. }
        | TenancyError::UnknownShard { .. }
        | TenancyError::ShardNotReady { .. } => Reason::ShardUnknown,
        TenancyError::ShardFull { .. } => Reason::ShardFull,
        TenancyError::TenantOwnedByAnother { .. } => Reason::TenantIdConflict,
        TenancyError::DatabaseOwnedByAnother { .. } => Reason::DatabaseOwnedByAnother,
        TenancyError::Database { .. }
        | TenancyError::Transaction { .. }
        | TenancyError::TermOver { .. }
        | TenancyError::Fenced { .. }
        | TenancyError::UnknownTenant { .. }
        | TenancyError::AlreadyMoving { .. }
        | TenancyError::UnknownValue { .. } => Reason::DatabaseUnreachable,
    };
    Because::new(reason, error.to_string())
}

/// Words an error of the vector store.
pub(crate) fn store_trouble(error: &store::Error) -> Because {
    let reason = match error {
        store::Error::OtherDimension { .. } => Reason::VectorStoreDimensionMismatch,
        store::Error::OtherIdentity { .. } => Reason::CollectionNotOurs,
        store::Error::MissingCollection { .. }
        | store::Error::Unavailable { .. }
        | store::Error::Refused { .. }
        | store::Error::Denied { .. }
        | store::Error::RefusedPoints { .. }
        | store::Error::NotCompleted { .. }
        | store::Error::Url { .. } => Reason::VectorStoreUnreachable,
    };
    Because::new(reason, error.to_string())
}
