//! Bringing a cluster's stores and children to where they should be; every step may be repeated.

use std::sync::Arc;

use aeterna_crds::HEIR_ANNOTATION;
use aeterna_crds::v1alpha1::{AeternaCluster, Reason, ShardStatus, SharedShard};
use aeterna_kit::db;
use aeterna_plan::cluster::KINDS;
use aeterna_plan::cluster::build::{Children, autoscaler_name, build_migration};
use aeterna_plan::report::Because;
use aeterna_projection::store::{self, OLDEST_QDRANT, Stores};
use aeterna_tenancy::shards::{self, NewShard};
use aeterna_tenancy::{ShardId, Term, cluster as ownership, leader};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt as _;
use sqlx::PgPool;
use uuid::Uuid;

use super::observe::fetch_secret;
use super::{Context, Error};
use crate::registry::Handle;

/// How far the stores are.
pub(super) struct StoresSeen {
    pub database: Result<(), Because>,
    pub migrated: Result<(), Because>,
    pub vector_store: Result<(), Because>,
    pub shards: Vec<ShardStatus>,
    /// The schemas were there in this process's time: a database that is away now takes no service down.
    pub reached_once: bool,
}

/// The oldest PostgreSQL, as `server_version_num` counts.
const OLDEST_POSTGRES: i32 = 150_000;

/// Brings database, schemas, vector store and shared shards up, as far as they go.
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
    let pool = match reach_database(context, cluster, namespace).await? {
        Ok(pool) => pool,
        Err(because) => {
            let after = Because {
                message: "waiting for the database".to_owned(),
                ..because.clone()
            };
            seen.migrated = Err(after.clone());
            seen.vector_store = Err(after);
            seen.database = Err(because);
            return Ok(seen);
        }
    };
    if let Err(because) = migrate(context, cluster, namespace, &pool).await? {
        seen.vector_store = Err(Because {
            message: "waiting for the schemas".to_owned(),
            ..because.clone()
        });
        seen.migrated = Err(because);
        return Ok(seen);
    }
    let term = match claim(context, cluster, namespace, &pool).await {
        Ok(term) => term,
        Err(because) => {
            seen.vector_store = Err(Because {
                message: "waiting for the database".to_owned(),
                ..because.clone()
            });
            seen.database = Err(because);
            return Ok(seen);
        }
    };
    seen.reached_once = true;
    match prepare_shards(context, cluster, namespace, &pool, term).await? {
        Ok(stores) => {
            let spec = cluster.spec.clone();
            context.registry.put(
                namespace,
                Handle {
                    uid: cluster.uid(),
                    pool: pool.clone(),
                    stores,
                    term,
                    spec,
                },
            );
        }
        Err(because) => seen.vector_store = Err(because),
    }
    if let Ok(listed) = shards::fetch_shards(&pool).await {
        seen.shards = listed
            .into_iter()
            .map(|used| ShardStatus {
                name: used.shard.shard_id.to_string(),
                collection: used.shard.collection,
                tenants: used.tenants,
                capacity: used.shard.capacity,
            })
            .collect();
    }
    Ok(seen)
}

async fn reach_database(
    context: &Context,
    cluster: &AeternaCluster,
    namespace: &str,
) -> Result<Result<PgPool, Because>, Error> {
    let url = match fetch_secret(&context.client, namespace, &cluster.spec.database.url_secret_ref).await? {
        Ok(url) => url,
        Err(because) => return Ok(Err(because)),
    };
    let unreachable = |error: &dyn std::error::Error| {
        Because::new(
            Reason::DatabaseUnreachable,
            format!("the database does not answer: {error}"),
        )
    };
    let pool = match context.registry.pool(namespace, &url) {
        Ok(pool) => pool,
        Err(error) => return Ok(Err(Because::new(Reason::SecretKeyMissing, error.to_string()))),
    };
    let version: Result<i32, _> = db::single("server_version", &pool, async |connection| {
        sqlx::query_scalar("select current_setting('server_version_num')::int")
            .fetch_one(connection)
            .await
    })
    .await;
    Ok(match version {
        Err(error) => Err(unreachable(&error)),
        Ok(version) if version < OLDEST_POSTGRES => {
            let message = format!("the database is PostgreSQL {}; 15 or newer is needed", version / 10_000);
            Err(Because::new(Reason::DatabaseTooOld, message))
        }
        Ok(_) => Ok(pool),
    })
}

/// Runs the migration Job when the schemas lack something.
async fn migrate(
    context: &Context,
    cluster: &AeternaCluster,
    namespace: &str,
    pool: &PgPool,
) -> Result<Result<(), Because>, Error> {
    let sets = [
        aeterna_kit::migrate::kit_migrations(),
        aeterna_tenancy::migrations(),
        aeterna_projection::migrations(),
    ];
    let mut behind = None;
    for set in sets {
        if let Err(error) = set.check(pool).await {
            behind = Some(error.to_string());
            break;
        }
    }
    let Some(behind) = behind else { return Ok(Ok(())) };
    let job = context.applier.apply(namespace, &build_migration(cluster)).await?;
    let status = job.status.clone().unwrap_or_default();
    let failed = status
        .conditions
        .unwrap_or_default()
        .into_iter()
        .any(|c| c.type_ == "Failed" && c.status == "True");
    let name = job.name_any();
    Ok(Err(if failed {
        let message = format!("Job {name} failed, see kubectl logs job/{name}; it is tried again in a minute");
        Because::new(Reason::MigrationFailed, message)
    } else {
        Because::new(Reason::Migrating, format!("Job {name} runs: {behind}"))
    }))
}

/// Makes sure that the database is this cluster's, and takes a term there, once a leadership.
async fn claim(context: &Context, cluster: &AeternaCluster, namespace: &str, pool: &PgPool) -> Result<Term, Because> {
    let uid = cluster
        .uid()
        .and_then(|uid| Uuid::parse_str(&uid).ok())
        .unwrap_or_default();
    let because = |error: aeterna_tenancy::Error| {
        if matches!(error, aeterna_tenancy::Error::DatabaseOwnedByAnother { .. }) {
            let message = format!(
                "{error}; give this cluster a database of its own, or, if that one is gone for good, set the annotation \
                 {HEIR_ANNOTATION} to its uid"
            );
            return Because::new(Reason::DatabaseOwnedByAnother, message);
        }
        Because::new(Reason::DatabaseUnreachable, error.to_string())
    };
    let heir_of = cluster.annotations().get(HEIR_ANNOTATION);
    let heir_of = heir_of.and_then(|uid| Uuid::parse_str(uid).ok());
    ownership::claim_database(pool, uid, namespace, heir_of)
        .await
        .map_err(because)?;
    match context.registry.get(namespace) {
        Some(known) => Ok(known.term),
        None => leader::raise_term(pool).await.map_err(because),
    }
}

/// Makes the shared shards ready.
async fn prepare_shards(
    context: &Context,
    cluster: &AeternaCluster,
    namespace: &str,
    pool: &PgPool,
    term: Term,
) -> Result<Result<Arc<Stores>, Because>, Error> {
    let external = &cluster.spec.vector_store.external;
    let stores = match context.registry.get(namespace) {
        Some(known) if known.spec.vector_store == cluster.spec.vector_store => known.stores,
        _ => {
            let key = match &external.api_key_secret_ref {
                None => None,
                Some(from) => match fetch_secret(&context.client, namespace, from).await? {
                    Ok(key) => Some(key),
                    Err(because) => return Ok(Err(because)),
                },
            };
            Arc::new(Stores::new(key))
        }
    };
    let prepared = async {
        let client = stores.at(&external.url).map_err(|error| store_trouble(&error))?;
        let (major, minor) = client.fetch_version().await.map_err(|error| store_trouble(&error))?;
        if (major, minor) < OLDEST_QDRANT {
            let message = format!("the vector store is Qdrant {major}.{minor}; 1.17 or newer is needed");
            return Err(Because::new(Reason::VectorStoreTooOld, message));
        }
        for shard in &cluster.spec.sharding.shared_shards {
            prepare_shard(pool, term, &client, &new_shared(cluster, shard)).await?;
        }
        Ok(())
    };
    Ok(prepared.await.map(|()| stores))
}

/// The row and collection of a shared shard.
fn new_shared(cluster: &AeternaCluster, shard: &SharedShard) -> NewShard {
    let collection = match shard.name.as_str() {
        "shared-shard-1" => "memories-shared".to_owned(),
        other => format!("memories-{other}"),
    };
    let (model, dimension) = default_model(cluster);
    NewShard {
        shard_id: ShardId::new(&shard.name),
        tenant: None,
        endpoint: cluster.spec.vector_store.external.url.clone(),
        collection,
        model,
        dimension,
        capacity: shard.capacity,
    }
}

/// The default model and its dimension; the local one has 256.
fn default_model(cluster: &AeternaCluster) -> (String, i32) {
    let embedding = &cluster.spec.embedding;
    let model = embedding.models.iter().find(|model| model.name == embedding.default);
    let remote = model.and_then(|model| model.open_ai_compatible.as_ref());
    (embedding.default.clone(), remote.map_or(256, |remote| remote.dimension))
}

/// Records a shard, makes its collection, and declares it ready.
pub(crate) async fn prepare_shard(
    pool: &PgPool,
    term: Term,
    client: &store::Store,
    new: &NewShard,
) -> Result<shards::Shard, Because> {
    let shard = shards::record_shard(pool, term, new)
        .await
        .map_err(|error| row_trouble(&error))?;
    client
        .ensure_collection(&shard)
        .await
        .map_err(|error| store_trouble(&error))?;
    if shard.state == shards::ShardState::Building {
        shards::mark_ready(pool, term, &shard)
            .await
            .map_err(|error| row_trouble(&error))?;
    }
    Ok(shard)
}

fn row_trouble(error: &aeterna_tenancy::Error) -> Because {
    let not_ours = matches!(
        error,
        aeterna_tenancy::Error::CollectionNameUsed { .. }
            | aeterna_tenancy::Error::ShardKindDiffers { .. }
            | aeterna_tenancy::Error::ShardModelDiffers { .. }
            | aeterna_tenancy::Error::ShardEndpointDiffers { .. }
            | aeterna_tenancy::Error::ShardOfAnotherTenant { .. }
    );
    let reason = if not_ours {
        Reason::CollectionNotOurs
    } else {
        Reason::DatabaseUnreachable
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

/// Applies all children, and removes the autoscalers that are no longer asked for.
pub(super) async fn apply_children(
    context: &Context,
    cluster: &AeternaCluster,
    namespace: &str,
    wanted: &Children,
) -> Result<(), Error> {
    let Children {
        deployments,
        services,
        autoscalers,
        budgets,
    } = wanted;
    for child in services {
        context.applier.apply(namespace, child).await?;
    }
    for child in deployments {
        context.applier.apply(namespace, child).await?;
    }
    for child in autoscalers {
        context.applier.apply(namespace, child).await?;
    }
    for child in budgets {
        context.applier.apply(namespace, child).await?;
    }
    let uid = cluster.uid().unwrap_or_default();
    for name in KINDS.map(autoscaler_name) {
        if !autoscalers.iter().any(|child| child.name_any() == name) {
            context
                .applier
                .remove::<HorizontalPodAutoscaler>(namespace, &name, &uid)
                .await?;
        }
    }
    Ok(())
}
