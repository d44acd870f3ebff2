//! The sync service's own settings, beside the kit's.

use std::path::PathBuf;

use clap::Args;

use aeterna_kit::config::Settings;
use aeterna_policy::guard::GuardSettings;

/// What serving needs.
#[derive(Debug, Args)]
pub struct Serve {
    /// What every service has.
    #[command(flatten)]
    pub kit: Settings,
    /// The sync service's own.
    #[command(flatten)]
    pub sync: SyncSettings,
}

/// The sync service's settings.
#[derive(Debug, Clone, Args)]
pub struct SyncSettings {
    /// Where the knowledge service is: <http://knowledge-service:8002>. Without it there is no target `knowledge`.
    #[arg(long, env = "KNOWLEDGE_SERVICE_URL")]
    pub knowledge_service_url: Option<String>,

    /// Where the memory service is: <http://memory-service:8001>. Without it there is no target `memory`.
    #[arg(long, env = "MEMORY_SERVICE_URL")]
    pub memory_service_url: Option<String>,

    /// The directory of the sources of type `directory`: each tenant has the directory of its name in it, and reads no
    /// other. Without it there are no such sources.
    #[arg(long, env = "SYNC_DIRECTORY_ROOT")]
    pub sync_directory_root: Option<PathBuf>,

    /// A file with the private key in PEM that jobs sign their tokens with; not needed where AUTH_JWT_SECRET_FILE is set.
    #[arg(long, env = "SYNC_TOKEN_KEY_FILE")]
    pub sync_token_key_file: Option<PathBuf>,

    /// Jobs that this instance works on at once; 0 works on none.
    #[arg(long, env = "SYNC_JOBS_AT_ONCE", default_value_t = 4)]
    pub sync_jobs_at_once: u32,

    /// Jobs of one tenant that all instances together work on at once.
    #[arg(long, env = "SYNC_JOBS_PER_TENANT", default_value_t = 2, value_parser = clap::value_parser!(i32).range(1..))]
    pub sync_jobs_per_tenant: i32,

    /// Where policies come from, if from anywhere.
    #[command(flatten)]
    pub guard: GuardSettings,
}
