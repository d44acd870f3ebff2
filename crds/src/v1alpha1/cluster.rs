//! AeternaCluster: the services, the stores they use, and the shared shards.

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Services;

/// One installation of Aeterna: four services, the relocator, their stores, and the shared shards. A namespace has one, and
/// its name is `aeterna`.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "aeterna.dev",
    version = "v1alpha1",
    kind = "AeternaCluster",
    namespaced,
    status = "AeternaClusterStatus",
    shortname = "aec",
    category = "aeterna",
    derive = "PartialEq",
    doc = "One installation of Aeterna: four services, the relocator, their stores, and the shared shards. A namespace has one, and its name is `aeterna`.",
    validation = Rule::new("self.metadata.name == 'aeterna'").message("an AeternaCluster is called aeterna: metadata.name must be 'aeterna', one a namespace"),
    printcolumn = r#"{"name":"Version","type":"string","jsonPath":".spec.release.version"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Tenants","type":"integer","jsonPath":".status.tenants"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct AeternaClusterSpec {
    /// What runs.
    pub release: Release,
    /// Where the truth is: PostgreSQL 15 or newer. A database belongs to the first AeternaCluster that uses it, until that
    /// one is deleted: then the next one that names the database inherits it. An owner in another Kubernetes cannot be seen
    /// from here; if it is gone for good, set the annotation `aeterna.dev/heir-of` of this AeternaCluster to its uid, which
    /// the condition DatabaseReady tells.
    #[serde(default)]
    pub database: Database,
    /// Where the cache of memory and knowledge is. Without it everything is the same, and slower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheSpec>,
    /// Where the vectors are: Qdrant 1.17 or newer.
    pub vector_store: VectorStore,
    /// How texts become vectors. Default: the local model `wordllama-256`.
    #[serde(default)]
    pub embedding: Embedding,
    /// How callers prove who they are. Has no default: write it out.
    pub auth: Auth,
    /// Lets the tenants' policies decide in every service. Default: each service's own rules by role decide alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub governance: Option<Governance>,
    /// The four services.
    #[serde(default)]
    pub services: Services,
    /// The worker that moves tenants.
    #[serde(default)]
    pub relocator: Relocator,
    /// Shared shards, and what moves do by default.
    #[serde(default)]
    pub sharding: Sharding,
}

/// The release that runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// The tag of all images.
    #[schemars(length(min = 1, max = 128))]
    pub version: String,
    /// What stands before the images' names. Default `aeterna`, as in `aeterna/memory-service`.
    #[serde(default = "registry")]
    pub registry: String,
    /// Always, IfNotPresent or Never. Default IfNotPresent.
    #[serde(default)]
    pub pull_policy: PullPolicy,
    /// Secrets to pull the images with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<String>,
}

fn registry() -> String {
    "aeterna".to_owned()
}

/// When images are pulled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// Each time a pod starts.
    Always,
    /// When the node has none of that tag.
    #[default]
    IfNotPresent,
    /// Never.
    Never,
}

impl PullPolicy {
    /// Returns the form in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// A key of a Secret in the cluster's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its key.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// The truth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Database {
    /// The Secret's key with the URL, `postgres://user:password@host:5432/database`, of a login that may make roles and
    /// schemas. Default: key `database-url` of the Secret `aeterna-secrets`. With `?pgbouncer=true` at its end the URL leads
    /// to a PgBouncer in transaction mode.
    pub url_secret_ref: SecretKeyRef,
    /// The Secret's key with the URL that schema migrations use, where the other one leads to a PgBouncer: they need the
    /// database itself. Default: the same URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migration_url_secret_ref: Option<SecretKeyRef>,
}

impl Default for Database {
    fn default() -> Self {
        let (name, key) = ("aeterna-secrets".to_owned(), "database-url".to_owned());
        Self {
            url_secret_ref: SecretKeyRef { name, key },
            migration_url_secret_ref: None,
        }
    }
}

/// The cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CacheSpec {
    /// The Secret's key with the URL, `redis://host:6379`.
    pub url_secret_ref: SecretKeyRef,
}

/// The vector store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VectorStore {
    /// A Qdrant that somebody else runs.
    pub external: ExternalVectorStore,
}

/// A Qdrant that somebody else runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalVectorStore {
    /// Its gRPC endpoint, `http://host:6334`. Can be changed until the first shared shard is ready. Afterwards the
    /// collections are there: keep the URL and change where its name leads, or make another AeternaCluster.
    #[schemars(regex(pattern = "^https?://"))]
    pub url: String,
    /// The Secret's key with the API key, if it demands one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_secret_ref: Option<SecretKeyRef>,
}

/// How texts become vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.models.exists(m, m.name == self.default)").message("embedding.default must be the name of one of embedding.models"))]
pub struct Embedding {
    /// The model of shards that are made from now on, and so of tenants that begin there; one of `models`. Shards and
    /// tenants keep the model that they began with: for tenants of a new default, add a shared shard. Default
    /// `wordllama-256`.
    #[serde(default = "local_name")]
    pub default: String,
    /// The models. One that shards or tenants use must stay in the list. Default: the local one.
    #[serde(default = "local_models")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    #[schemars(length(min = 1, max = 16))]
    pub models: Vec<EmbeddingModel>,
}

fn local_name() -> String {
    "wordllama-256".to_owned()
}

fn local_models() -> Vec<EmbeddingModel> {
    vec![EmbeddingModel {
        name: local_name(),
        local: Some(LocalModel {}),
        open_ai_compatible: None,
    }]
}

impl Embedding {
    /// Returns the dimension of a model of the list; the local one has 256.
    #[must_use]
    pub fn dimension(&self, model: &str) -> Option<i32> {
        let listed = self.models.iter().find(|listed| listed.name == model)?;
        Some(
            listed
                .open_ai_compatible
                .as_ref()
                .map_or(256, |remote| remote.dimension),
        )
    }
}

impl Default for Embedding {
    fn default() -> Self {
        Self {
            default: local_name(),
            models: local_models(),
        }
    }
}

/// A model: exactly one of `local` and `openAICompatible`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.local) != has(self.openAICompatible)").message("a model is exactly one of local and openAICompatible"))]
pub struct EmbeddingModel {
    /// Its name; part of every route of a tenant that uses it.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The model that comes with the memory service: 256 dimensions, English, no network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<LocalModel>,
    /// An endpoint that speaks OpenAI's embeddings API.
    #[serde(default, rename = "openAICompatible", skip_serializing_if = "Option::is_none")]
    pub open_ai_compatible: Option<OpenAiCompatible>,
}

/// The model that comes with the memory service. It has no settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LocalModel {}

/// A model behind an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenAiCompatible {
    /// The API's base, such as `https://api.openai.com/v1`.
    #[schemars(regex(pattern = "^https?://"))]
    pub endpoint: String,
    /// The model's name there.
    pub model: String,
    /// How many dimensions its vectors have.
    #[schemars(range(min = 1, max = 65_536))]
    pub dimension: i32,
    /// The Secret's key with the API key, if it demands one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_secret_ref: Option<SecretKeyRef>,
}

/// How callers prove who they are: exactly one of `disabled` and `jwt`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.disabled) != has(self.jwt)").message("write exactly one of auth.jwt and auth.disabled; disabled is for development"))]
pub struct Auth {
    /// They do not: every caller may name any tenant. For development.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<AuthDisabled>,
    /// By a signed token (RFC 7519) with `sub`, `exp` and `tenant` or `tenants`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Jwt>,
}

/// No authentication.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthDisabled {
    /// The tenant of requests that name none in `X-Tenant-ID`. Default: such requests are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub default_tenant: Option<String>,
}

/// Signed tokens: exactly one of the two keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.publicKeySecretRef) != has(self.hmacSecretRef)").message("write exactly one of publicKeySecretRef and hmacSecretRef"))]
pub struct Jwt {
    /// The Secret's key with the issuer's public key in PEM: RSA for RS256, P-256 for ES256, Ed25519 for EdDSA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key_secret_ref: Option<SecretKeyRef>,
    /// The Secret's key with a shared secret of at least 32 bytes, for HS256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac_secret_ref: Option<SecretKeyRef>,
    /// The `iss` that tokens must have. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The `aud` that tokens must have. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

impl Jwt {
    /// Returns where the key is, whichever of the two kinds it is.
    #[must_use]
    pub fn key_secret_ref(&self) -> Option<&SecretKeyRef> {
        self.hmac_secret_ref.as_ref().or(self.public_key_secret_ref.as_ref())
    }
}

/// Policies that the governance service signs and the other services decide by. When one of the keys changes, the pods that
/// use it are replaced within half a minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Governance {
    /// The Secret's key with the Ed25519 private key in PEM that policies and checkpoints of the audit log are signed with:
    /// `openssl genpkey -algorithm ed25519`. The governance service alone gets it.
    pub signing_key_secret_ref: SecretKeyRef,
    /// The Secret's key with its public key in PEM: `openssl pkey -in key.pem -pubout`.
    pub public_key_secret_ref: SecretKeyRef,
    /// A PersistentVolumeClaim that all pods of the governance service can mount, where checkpoints of the audit log are kept.
    /// Default: none are kept, and an audit log that was rewritten as a whole is not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub checkpoint_claim: Option<String>,
}

/// The worker that moves tenants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Relocator {
    /// Pods. Default 1; more only share the moves.
    #[schemars(range(min = 0, max = 100))]
    pub replicas: i32,
    /// Moves that one pod drives at the same time. Default 4.
    #[schemars(range(min = 1, max = 100))]
    pub concurrency: i32,
    /// CPU and memory of a pod. Default: request 100m and 128Mi.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

impl Default for Relocator {
    fn default() -> Self {
        Self {
            replicas: 1,
            concurrency: 4,
            resources: None,
        }
    }
}

/// Shared shards, and what moves do by default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sharding {
    /// The shared shards. Default: `shared-shard-1`. One that is taken out of the list takes no new tenants and keeps its
    /// old ones; listed again, it takes tenants again.
    #[serde(default = "shared_shards")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    #[schemars(length(min = 1, max = 100))]
    pub shared_shards: Vec<SharedShard>,
    /// `Open`: a tenant that no TenantShard declares is registered by its first write. `Declared`: it is refused. Default
    /// Open.
    #[serde(default)]
    pub onboarding: Onboarding,
    /// How long a move keeps its source after the switch, in seconds; in that time the way back is short. Default 600.
    #[serde(default = "retention_seconds")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub retention_seconds: i64,
}

fn shared_shards() -> Vec<SharedShard> {
    vec![SharedShard {
        name: "shared-shard-1".to_owned(),
        capacity: capacity(),
    }]
}

fn retention_seconds() -> i64 {
    600
}

impl Default for Sharding {
    fn default() -> Self {
        let (shared_shards, retention_seconds) = (shared_shards(), retention_seconds());
        Self {
            shared_shards,
            onboarding: Onboarding::Open,
            retention_seconds,
        }
    }
}

/// A shared shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SharedShard {
    /// Its name. The collection of `shared-shard-1` is `memories-shared`, that of another `memories-<name>`.
    #[schemars(length(min = 1, max = 50), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// How many tenants it takes. Default 100.
    #[serde(default = "capacity")]
    #[schemars(range(min = 1, max = 100_000))]
    pub capacity: i32,
}

fn capacity() -> i32 {
    100
}

/// What becomes of a tenant that no TenantShard declares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Onboarding {
    /// Its first write registers it.
    #[default]
    Open,
    /// It is refused.
    Declared,
}

/// What the operator sees of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AeternaClusterStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, DatabaseReady, VectorStoreReady, Migrated, ServicesAvailable.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,
    /// Registered tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<i64>,
    /// The services' pods.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    pub services: Vec<ServiceStatus>,
    /// The shards.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    pub shards: Vec<ShardStatus>,
}

/// A service's pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// The Deployment.
    pub name: String,
    /// Pods wanted.
    pub desired: i32,
    /// Pods ready.
    pub ready: i32,
}

/// A shard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShardStatus {
    /// Its name.
    pub name: String,
    /// Its collection.
    pub collection: String,
    /// Its tenants.
    pub tenants: i64,
    /// How many it takes.
    pub capacity: i32,
}
