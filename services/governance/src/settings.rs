//! The governance service's own settings, beside the kit's.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use aeterna_kit::config::Settings;

use crate::signing::Signer;

/// What serving needs.
#[derive(Debug, Args)]
pub struct Serve {
    /// What every service has.
    #[command(flatten)]
    pub kit: Settings,
    /// The governance service's own.
    #[command(flatten)]
    pub governance: GovernanceSettings,
}

/// The governance service's settings.
#[derive(Debug, Clone, Args)]
pub struct GovernanceSettings {
    /// A file with an Ed25519 private key in PEM (`openssl genpkey -algorithm ed25519`). Without it there are no
    /// checkpoints of the audit log and no snapshots of policies. Public keys in the same file are those of former keys: what
    /// they have signed stays good.
    #[arg(long, env = "SIGNING_KEY_FILE")]
    pub signing_key_file: Option<PathBuf>,

    /// A directory outside of the database in which checkpoints of the audit log are kept. Without it a chain that was
    /// rewritten as a whole is not found.
    #[arg(long, env = "AUDIT_CHECKPOINT_DIR", requires = "signing_key_file")]
    pub audit_checkpoint_dir: Option<PathBuf>,

    /// Seconds between two checkpoints of a chain that grows.
    #[arg(long, env = "AUDIT_CHECKPOINT_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub audit_checkpoint_seconds: u64,

    /// The age in seconds from which on the other services write nothing by a snapshot of policies.
    #[arg(long, env = "POLICY_SNAPSHOT_MAX_AGE_SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub policy_snapshot_max_age_seconds: u32,
}

impl GovernanceSettings {
    /// Reads the key.
    ///
    /// # Errors
    /// When there is a file and it holds no key.
    pub fn signer(&self) -> anyhow::Result<Option<Arc<Signer>>> {
        let signer = self.signing_key_file.as_deref().map(Signer::load).transpose()?;
        Ok(signer.map(Arc::new))
    }

    /// Returns the time between two checkpoints.
    #[must_use]
    pub fn checkpoint_interval(&self) -> Duration {
        Duration::from_secs(self.audit_checkpoint_seconds)
    }
}
