//! The knowledge service's own settings, beside the kit's.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use aeterna_kit::config::Settings;
use aeterna_policy::guard::GuardSettings;

use crate::notes::model::Model;

/// What serving needs.
#[derive(Debug, Args)]
pub struct Serve {
    /// What every service has.
    #[command(flatten)]
    pub kit: Settings,
    /// The knowledge service's own.
    #[command(flatten)]
    pub knowledge: KnowledgeSettings,
}

/// The knowledge service's settings.
#[derive(Clone, Args)]
pub struct KnowledgeSettings {
    /// Where the memory service is, such as `http://memory-service:8001`. Without it contexts hold no memories.
    #[arg(long, env = "MEMORY_SERVICE_URL")]
    pub memory_service_url: Option<String>,

    /// DuckDB's library: a file, or a name that the system's loader finds. Without it there are no graphs: relations are direct
    /// ones, and contexts are put together by words alone.
    #[arg(long, env = "DUCKDB_LIBRARY", default_value = "libduckdb.so")]
    pub duckdb_library: String,

    /// The base of an API that speaks OpenAI's chat form, such as `https://api.openai.com/v1`. Without it notes are distilled
    /// without a model.
    #[arg(long, env = "NOTES_MODEL_URL", requires = "notes_model")]
    pub notes_model_url: Option<String>,

    /// The model's name there.
    #[arg(long, env = "NOTES_MODEL", requires = "notes_model_url")]
    pub notes_model: Option<String>,

    /// The key, where one is needed.
    #[arg(long, env = "NOTES_MODEL_KEY", hide_env_values = true, requires = "notes_model_url")]
    pub notes_model_key: Option<String>,

    /// A file with the key; what stands around it in white space is left out.
    #[arg(
        long,
        env = "NOTES_MODEL_KEY_FILE",
        conflicts_with = "notes_model_key",
        requires = "notes_model_url"
    )]
    pub notes_model_key_file: Option<PathBuf>,

    /// Where policies come from, if from anywhere.
    #[command(flatten)]
    pub guard: GuardSettings,
}

impl std::fmt::Debug for KnowledgeSettings {
    /// Leaves out the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnowledgeSettings")
            .field("memory_service_url", &self.memory_service_url)
            .field("duckdb_library", &self.duckdb_library)
            .field("notes_model", &self.notes_model)
            .finish_non_exhaustive()
    }
}

impl KnowledgeSettings {
    /// Makes the model for notes, if one is named.
    ///
    /// # Errors
    /// When the file of the key cannot be read, or no client can be made.
    pub fn model(&self) -> anyhow::Result<Option<Model>> {
        let (Some(url), Some(name)) = (&self.notes_model_url, &self.notes_model) else {
            return Ok(None);
        };
        let key = match &self.notes_model_key_file {
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.with_context(|| format!("NOTES_MODEL_KEY_FILE {} cannot be read", path.display()))?;
                Some(text.trim().to_owned())
            }
            None => self.notes_model_key.clone(),
        };
        Ok(Some(Model::new(url, name, key.as_deref())?))
    }
}
