//! The knowledge service's own settings, beside the kit's.

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
    #[arg(long, env = "NOTES_MODEL")]
    pub notes_model: Option<String>,

    /// The key, where one is needed.
    #[arg(long, env = "NOTES_MODEL_KEY", hide_env_values = true)]
    pub notes_model_key: Option<String>,

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
    /// When no client can be made.
    pub fn model(&self) -> reqwest::Result<Option<Model>> {
        let (Some(url), Some(name)) = (&self.notes_model_url, &self.notes_model) else {
            return Ok(None);
        };
        Model::new(url, name, self.notes_model_key.as_deref()).map(Some)
    }
}
