//! The memory service's own settings, beside the kit's.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde::Deserialize;

use aeterna_kit::cache::Cache;
use aeterna_kit::config::Settings;
use aeterna_policy::guard::GuardSettings;

use crate::embedding::{Cached, Embedders, Local, Model, OpenAi, OpenAiSettings};

/// What serving needs.
#[derive(Debug, Args)]
pub struct Serve {
    /// What every service has.
    #[command(flatten)]
    pub kit: Settings,
    /// The memory service's own.
    #[command(flatten)]
    pub memory: MemorySettings,
}

/// What becomes of a tenant that nobody has registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Onboarding {
    /// Its first write registers it on a shared shard.
    Open,
    /// It is refused: a TenantShard must declare it.
    Declared,
}

/// The memory service's settings.
#[derive(Debug, Clone, Args)]
pub struct MemorySettings {
    /// The key that the vector stores demand. Where they are, the shards tell.
    #[arg(long, env = "QDRANT_API_KEY", hide_env_values = true)]
    pub qdrant_api_key: Option<String>,

    /// The model for tenants that have no route yet.
    #[arg(long, env = "EMBEDDING_DEFAULT", default_value = "wordllama-256")]
    pub embedding_default: String,

    /// The models, as JSON: `[{"name": "wordllama-256", "local": {}}, {"name": "small", "openAICompatible": {"endpoint":
    /// "https://…/v1", "model": "text-embedding-3-small", "dimension": 1536, "apiKeyEnv": "EMBEDDING_KEY_SMALL"}}]`.
    #[arg(
        long,
        env = "EMBEDDING_MODELS",
        default_value = r#"[{"name": "wordllama-256", "local": {}}]"#
    )]
    pub embedding_models: String,

    /// The directory of the local model's weights.
    #[arg(
        long,
        env = "EMBEDDING_WEIGHTS_DIR",
        default_value = "/usr/share/aeterna/wordllama-256"
    )]
    pub embedding_weights_dir: PathBuf,

    /// What becomes of a tenant that nobody has registered.
    #[arg(long, env = "ONBOARDING", value_enum, default_value = "open")]
    pub onboarding: Onboarding,

    /// Where policies come from, if from anywhere.
    #[command(flatten)]
    pub guard: GuardSettings,
}

/// One entry of EMBEDDING_MODELS.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ModelEntry {
    name: String,
    local: Option<LocalEntry>,
    #[serde(rename = "openAICompatible")]
    open_ai_compatible: Option<RemoteEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LocalEntry {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RemoteEntry {
    #[serde(flatten)]
    remote: OpenAiSettings,
    /// The variable that holds the key: keys do not stand in JSON that shows up in a Pod's spec.
    api_key_env: Option<String>,
}

impl MemorySettings {
    /// Makes the models.
    ///
    /// # Errors
    /// When the JSON is not of its form, the local weights are missing, or the default is not among the models.
    pub fn embedders(&self, cache: &Cache) -> anyhow::Result<Embedders> {
        let entries: Vec<ModelEntry> =
            serde_json::from_str(&self.embedding_models).context("EMBEDDING_MODELS is not a list of models")?;
        let mut models = BTreeMap::new();
        for entry in entries {
            let model = match (entry.local, entry.open_ai_compatible) {
                (Some(LocalEntry {}), None) => Model::Local(Box::new(Local::load(&self.embedding_weights_dir)?)),
                (
                    None,
                    Some(RemoteEntry {
                        mut remote,
                        api_key_env,
                    }),
                ) => {
                    remote.api_key = api_key_env.map(|name| read_key(&name)).transpose()?;
                    Model::OpenAi(OpenAi::new(remote)?)
                }
                (Some(_), Some(_)) | (None, None) => {
                    anyhow::bail!("model {} needs exactly one of local and openAICompatible", entry.name)
                }
            };
            models.insert(entry.name.clone(), Cached::new(entry.name, model, cache.clone()));
        }
        Ok(Embedders::new(self.embedding_default.clone(), models)?)
    }
}

#[expect(clippy::disallowed_methods, reason = "the variable's name is itself a setting")]
fn read_key(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("{name} holds no embedding key"))
}
