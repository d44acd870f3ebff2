//! The first stages: the database answers, has the schemas of the release, and is this cluster's.

use aeterna_crds::HEIR_ANNOTATION;
use aeterna_crds::v1alpha1::{AeternaCluster, Reason};
use aeterna_kit::{db, migrate as schemas};
use aeterna_plan::cluster::build::build_migration;
use aeterna_plan::cluster::{KINDS, ServiceKind};
use aeterna_plan::report::Because;
use aeterna_tenancy::cluster::{self as ownership, Claim};
use aeterna_tenancy::{Error as TenancyError, Term, leader};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use kube::api::Api;
use sqlx::PgPool;
use uuid::Uuid;

use super::children::refused;
use super::observe::find_trouble;
use super::secrets::fetch_secret;
use super::{Context, Error};

/// The oldest PostgreSQL, as `server_version_num` counts.
const OLDEST_POSTGRES: i32 = 150_000;

fn unreachable(error: &dyn std::error::Error) -> Because {
    let message = format!("the database does not answer: {error}");
    Because::new(Reason::DatabaseUnreachable, message)
}

pub(super) async fn reach(
    context: &Context,
    cluster: &AeternaCluster,
    namespace: &str,
) -> Result<Result<PgPool, Because>, Error> {
    let from = &cluster.spec.database.url_secret_ref;
    let url = match fetch_secret(&context.client, namespace, from).await? {
        Ok(url) => url,
        Err(because) => return Ok(Err(because)),
    };
    let invalid = |error: String| {
        let message = format!("Secret {}, key {}: {error}", from.name, from.key);
        Because::new(Reason::SecretInvalid, message)
    };
    // The client takes any scheme for its own.
    if !["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
    {
        return Ok(Err(invalid("the URL must begin with postgres://".to_owned())));
    }
    let pool = match context.registry.pool(namespace, &url) {
        Ok(pool) => pool,
        Err(error) => return Ok(Err(invalid(error.to_string()))),
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

/// Runs the migration Job when the schemas lack something. A database that does not answer lacks nothing that is known.
pub(super) async fn migrate(
    context: &Context,
    cluster: &AeternaCluster,
    namespace: &str,
    pool: &PgPool,
) -> Result<Result<(), Because>, Error> {
    let behind = match find_behind(cluster, pool).await {
        Ok(None) => return Ok(Ok(())),
        Ok(Some(behind)) => behind,
        Err(because) => return Ok(Err(because)),
    };
    if let Some(from) = &cluster.spec.database.migration_url_secret_ref
        && let Err(because) = fetch_secret(&context.client, namespace, from).await?
    {
        return Ok(Err(because));
    }
    match refused(context.applier.apply(namespace, &build_migration(cluster)).await)? {
        Ok(job) => judge(context, namespace, &job, &behind).await.map(Err),
        Err(because) => Ok(Err(because)),
    }
}

/// Says what the database lacks: of the schemas that the operator itself uses, or of a service of the release.
async fn find_behind(cluster: &AeternaCluster, pool: &PgPool) -> Result<Option<String>, Because> {
    let sets = [
        schemas::kit_migrations(),
        aeterna_tenancy::migrations(),
        aeterna_projection::migrations(),
    ];
    for set in sets {
        match set.check(pool).await {
            Ok(()) => {}
            Err(error @ schemas::Error::Behind { .. }) => return Ok(Some(error.to_string())),
            Err(
                error @ (schemas::Error::Prepare { .. }
                | schemas::Error::Migrate { .. }
                | schemas::Error::BehindPooler { .. }),
            ) => return Err(unreachable(&error)),
        }
    }
    let release = &cluster.spec.release.version;
    let services = KINDS.map(ServiceKind::name);
    let unbuilt = schemas::find_unbuilt(pool, &services, release)
        .await
        .map_err(|error| unreachable(&error))?;
    Ok((!unbuilt.is_empty()).then(|| format!("release {release} lacks the schemas of {}", unbuilt.join(", "))))
}

/// Says how the Job is doing.
async fn judge(context: &Context, namespace: &str, job: &Job, behind: &str) -> Result<Because, Error> {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref());
    let failed = conditions
        .unwrap_or_default()
        .iter()
        .any(|condition| condition.type_ == "Failed" && condition.status == "True");
    let name = job.name_any();
    if failed {
        let hint = format!("see kubectl logs job/{name} --all-containers; it is tried again in a minute");
        let message = format!("Job {name} failed, {hint}");
        return Ok(Because::new(Reason::MigrationFailed, message));
    }
    // The pods of an earlier Job may hang on for as long as that one may.
    let trouble = find_trouble(&context.client, namespace, &format!("job-name={name}")).await?;
    Ok(trouble.unwrap_or_else(|| Because::new(Reason::Migrating, format!("Job {name} runs: {behind}"))))
}

/// Makes sure that the database is this cluster's, and takes a term there, once a leadership.
pub(super) async fn claim(
    context: &Context,
    cluster: &AeternaCluster,
    namespace: &str,
    pool: &PgPool,
) -> Result<Result<Term, Because>, Error> {
    let parse = |uid: &String| Uuid::parse_str(uid).ok();
    let mut claim = Claim {
        uid: cluster.uid().as_ref().and_then(parse).unwrap_or_default(),
        namespace,
        kubernetes: context.kubernetes().await,
        heir_of: cluster.annotations().get(HEIR_ANNOTATION).and_then(parse),
    };
    let mut claimed = ownership::claim_database(pool, &claim).await;
    if let Err(TenancyError::DatabaseOwnedByAnother {
        namespace: owner,
        uid,
        kubernetes,
    }) = &claimed
        && kubernetes.is_some()
        && *kubernetes == claim.kubernetes
        && is_gone(context, owner, *uid).await?
    {
        // Its tenants may still be looked at with what was known of it.
        context.registry.forget_other(owner, cluster.uid().as_deref());
        claim.heir_of = Some(*uid);
        claimed = ownership::claim_database(pool, &claim).await;
    }
    if let Err(error) = claimed {
        return Ok(Err(refusal(&error, claim.kubernetes)));
    }
    Ok(match context.registry.get(namespace) {
        Some(known) => Ok(known.term),
        None => leader::raise_term(pool).await.map_err(|error| unreachable(&error)),
    })
}

/// Tells whether an AeternaCluster of this Kubernetes exists no more. One that cannot be seen may exist.
async fn is_gone(context: &Context, namespace: &str, uid: Uuid) -> Result<bool, Error> {
    let api: Api<AeternaCluster> = Api::namespaced(context.client.clone(), namespace);
    match api.get_opt(crate::CLUSTER).await {
        Ok(found) => Ok(found.and_then(|found| found.uid()) != Some(uid.to_string())),
        Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(false),
        Err(source) => Err(Error::Api {
            operation: "read the AeternaCluster that owns the database",
            source: Box::new(source),
        }),
    }
}

/// Words why the database is not ours.
fn refusal(error: &TenancyError, here: Option<Uuid>) -> Because {
    let TenancyError::DatabaseOwnedByAnother { kubernetes, .. } = error else {
        return unreachable(error);
    };
    let hint = if kubernetes.is_some() && *kubernetes == here {
        "give this cluster a database of its own, or delete that one".to_owned()
    } else {
        format!(
            "that one is not known in this Kubernetes: give this cluster a database of its own, or, if that one is gone for \
             good, set the annotation {HEIR_ANNOTATION} to its uid"
        )
    };
    Because::new(Reason::DatabaseOwnedByAnother, format!("{error}; {hint}"))
}

impl Context {
    /// Returns which Kubernetes this is, if we may know: the uid of the namespace kube-system.
    async fn kubernetes(&self) -> Option<Uuid> {
        let read = || async {
            let api: Api<Namespace> = Api::all(self.client.clone());
            let uid = api.get("kube-system").await.map_err(|_| ())?.uid().ok_or(())?;
            Uuid::parse_str(&uid).map_err(|_| ())
        };
        self.kubernetes.get_or_try_init(read).await.ok().copied()
    }
}
