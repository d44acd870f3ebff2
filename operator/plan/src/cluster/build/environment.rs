//! The environment of a container.

use aeterna_crds::v1alpha1::{AeternaClusterSpec, Jwt, Onboarding, SecretKeyRef};
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, SecretKeySelector};
use serde_json::{Map, Value, json};

use super::mounts::{AUTH_DIR, CHECKPOINT_DIR, SIGNING_DIR};
use crate::cluster::{KINDS, ServiceKind};

pub(super) fn plain(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value.into()),
        value_from: None,
    }
}

pub(super) fn secret(name: &str, from: &SecretKeyRef) -> EnvVar {
    let key = SecretKeySelector {
        name: from.name.clone(),
        key: from.key.clone(),
        optional: None,
    };
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(key),
            ..EnvVarSource::default()
        }),
    }
}

/// Returns what the services' pods need from Secrets, besides the URL of the database and the key of the vector store.
#[must_use]
pub fn named_secrets(spec: &AeternaClusterSpec) -> Vec<&SecretKeyRef> {
    let cache = spec.cache.iter().map(|cache| &cache.url_secret_ref);
    let auth = spec.auth.jwt.iter().filter_map(Jwt::key_secret_ref);
    let remotes = spec
        .embedding
        .models
        .iter()
        .filter_map(|model| model.open_ai_compatible.as_ref());
    let keys = remotes.filter_map(|remote| remote.api_key_secret_ref.as_ref());
    let signing = spec.governance.iter();
    let signing =
        signing.flat_map(|governance| [&governance.signing_key_secret_ref, &governance.public_key_secret_ref]);
    let files = KINDS.iter().flat_map(|kind| &kind.spec(spec).files);
    let files = files.map(|file| &file.secret_ref);
    cache.chain(auth).chain(signing).chain(keys).chain(files).collect()
}

/// The environment of a service: the operator's variables, and the spec's own over them.
pub(super) fn build_environment(spec: &AeternaClusterSpec, kind: ServiceKind) -> Vec<EnvVar> {
    let mut env = vec![
        plain("PORT", kind.port().to_string()),
        secret("DATABASE_URL", &spec.database.url_secret_ref),
    ];
    // The others keep nothing in a cache.
    if matches!(kind, ServiceKind::Memory | ServiceKind::Knowledge) {
        let cache = spec.cache.iter();
        env.extend(cache.map(|cache| secret("REDIS_URL", &cache.url_secret_ref)));
    }
    env.extend(auth(spec));
    env.extend(governance(spec, kind));
    match kind {
        ServiceKind::Memory => env.extend(memory(spec)),
        ServiceKind::Knowledge => env.push(address(ServiceKind::Memory)),
        ServiceKind::Governance => {}
        ServiceKind::Sync => env.extend([ServiceKind::Memory, ServiceKind::Knowledge].map(address)),
    }
    let own = &kind.spec(spec).env;
    env.retain(|var| !own.contains_key(&var.name));
    env.extend(own.iter().map(|(name, value)| plain(name, value)));
    env
}

/// Where a neighbour is: its Service, in the same namespace.
fn address(kind: ServiceKind) -> EnvVar {
    let name = kind.name();
    let variable = format!("{}_URL", name.to_uppercase().replace('-', "_"));
    plain(&variable, format!("http://{name}:{}", kind.port()))
}

fn auth(spec: &AeternaClusterSpec) -> Vec<EnvVar> {
    let Some(jwt) = &spec.auth.jwt else {
        let tenant = spec
            .auth
            .disabled
            .as_ref()
            .and_then(|disabled| disabled.default_tenant.as_ref());
        let tenant = tenant.map(|tenant| plain("AUTH_DEFAULT_TENANT", tenant));
        return std::iter::once(plain("AUTH_MODE", "disabled")).chain(tenant).collect();
    };
    let file = if jwt.hmac_secret_ref.is_some() {
        "AUTH_JWT_SECRET_FILE"
    } else {
        "AUTH_JWT_PUBLIC_KEY_FILE"
    };
    let mut env = vec![plain("AUTH_MODE", "jwt"), plain(file, format!("{AUTH_DIR}/key"))];
    env.extend(jwt.issuer.iter().map(|issuer| plain("AUTH_JWT_ISSUER", issuer)));
    env.extend(jwt.audience.iter().map(|audience| plain("AUTH_JWT_AUDIENCE", audience)));
    env
}

/// Who signs policies, and who decides by them.
fn governance(spec: &AeternaClusterSpec, kind: ServiceKind) -> Vec<EnvVar> {
    let Some(governance) = &spec.governance else {
        return Vec::new();
    };
    if kind != ServiceKind::Governance {
        let key = plain("POLICY_PUBLIC_KEY_FILE", format!("{SIGNING_DIR}/key"));
        return vec![address(ServiceKind::Governance), key];
    }
    let checkpoints = governance.checkpoint_claim.iter();
    let checkpoints = checkpoints.map(|_| plain("AUDIT_CHECKPOINT_DIR", CHECKPOINT_DIR));
    std::iter::once(plain("SIGNING_KEY_FILE", format!("{SIGNING_DIR}/key")))
        .chain(checkpoints)
        .collect()
}

fn memory(spec: &AeternaClusterSpec) -> Vec<EnvVar> {
    let onboarding = match spec.sharding.onboarding {
        Onboarding::Open => "open",
        Onboarding::Declared => "declared",
    };
    let mut env = vec![
        plain("ONBOARDING", onboarding),
        plain("EMBEDDING_DEFAULT", &spec.embedding.default),
    ];
    let mut models = Vec::new();
    for (place, model) in spec.embedding.models.iter().enumerate() {
        models.push(match &model.open_ai_compatible {
            None => json!({"name": model.name, "local": {}}),
            Some(remote) => {
                let mut fields = Map::from_iter([
                    ("endpoint".to_owned(), json!(remote.endpoint)),
                    ("model".to_owned(), json!(remote.model)),
                    ("dimension".to_owned(), json!(remote.dimension)),
                ]);
                if let Some(key) = &remote.api_key_secret_ref {
                    let variable = format!("EMBEDDING_KEY_{place}");
                    env.push(secret(&variable, key));
                    fields.insert("apiKeyEnv".to_owned(), json!(variable));
                }
                json!({"name": model.name, "openAICompatible": fields})
            }
        });
    }
    // Whether a map keeps the order of its source depends on who else is in the build; a Deployment must not.
    let mut models = Value::Array(models);
    models.sort_all_objects();
    env.push(plain("EMBEDDING_MODELS", models.to_string()));
    env.extend(
        spec.vector_store
            .external
            .api_key_secret_ref
            .iter()
            .map(|key| secret("QDRANT_API_KEY", key)),
    );
    env
}
