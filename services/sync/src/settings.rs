//! The sync service's own settings, beside the kit's.

use std::path::PathBuf;

use clap::Args;

use aeterna_kit::config::Settings;
use aeterna_policy::guard::GuardSettings;

use crate::outbound::guard::Exemption;

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

    /// The directory of the copies of git repositories: a cache, which may be lost at any time.
    #[arg(long, env = "SYNC_GIT_DIRECTORY", default_value_os_t = std::env::temp_dir().join("aeterna-sync-git"))]
    pub sync_git_directory: PathBuf,

    /// Bytes that all copies of git repositories may have; above, the longest unused go. 10 GiB unless said.
    #[arg(long, env = "SYNC_GIT_DIRECTORY_BYTES", default_value_t = 10 << 30)]
    pub sync_git_directory_bytes: u64,

    /// Hosts that sources may read from although they are not public: names, addresses and ranges, such as
    /// `git.internal,10.0.0.0/8`. Without it, what is not a public address of the internet is refused.
    #[arg(long, env = "SYNC_ALLOW_HOSTS", value_delimiter = ',')]
    pub sync_allow_hosts: Vec<Exemption>,

    /// The directory of the secrets that connections name: each tenant has the directory of its name in it. A secret `token`
    /// is sent to the origins that are lines of `token.origins` beside it, and nowhere else.
    #[arg(long, env = "SYNC_SECRETS_DIRECTORY")]
    pub sync_secrets_directory: Option<PathBuf>,

    /// A file with the private key in PEM that jobs sign their tokens with; not needed where AUTH_JWT_SECRET_FILE is set.
    #[arg(long, env = "SYNC_TOKEN_KEY_FILE")]
    pub sync_token_key_file: Option<PathBuf>,

    /// Jobs that this instance works on at once; 0 works on none.
    #[arg(long, env = "SYNC_JOBS_AT_ONCE", default_value_t = 4)]
    pub sync_jobs_at_once: u32,

    /// Jobs of one tenant that all instances together work on at once.
    #[arg(long, env = "SYNC_JOBS_PER_TENANT", default_value_t = 2, value_parser = clap::value_parser!(i32).range(1..))]
    pub sync_jobs_per_tenant: i32,

    /// Days that a job is kept after its end. The newest one of each connection is kept for good.
    #[arg(long, env = "SYNC_JOBS_KEPT_DAYS", default_value_t = 30, value_parser = clap::value_parser!(i32).range(1..=36_500))]
    pub sync_jobs_kept_days: i32,

    /// Where policies come from, if from anywhere.
    #[command(flatten)]
    pub guard: GuardSettings,
}
