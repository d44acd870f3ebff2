//! Where snapshots come from. Both or neither: an unsigned policy is none.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use super::Guard;
use super::client::Client;
use super::tenants::Tenants;
use crate::signed::PublicKeys;

/// The settings of a guard.
#[derive(Debug, Clone, Args)]
pub struct GuardSettings {
    /// Where the governance service is: <http://governance-service:8003>. Without it no policies are asked for, and the
    /// service's own rules decide alone.
    #[arg(long, env = "GOVERNANCE_SERVICE_URL", requires = "policy_public_key_file")]
    pub governance_service_url: Option<String>,

    /// A file with the Ed25519 public key in PEM of the governance service's SIGNING_KEY_FILE
    /// (`openssl pkey -in key.pem -pubout`). It may hold several: while a key is changed, the old one and the new one.
    #[arg(long, env = "POLICY_PUBLIC_KEY_FILE", requires = "governance_service_url")]
    pub policy_public_key_file: Option<PathBuf>,

    /// The age in seconds from which on a newer snapshot of policies is asked for: the time that a change takes to count.
    #[arg(long, env = "POLICY_REFRESH_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub policy_refresh_seconds: u32,
}

impl GuardSettings {
    /// Makes the guard, where one is asked for.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub fn guard(&self) -> anyhow::Result<Option<Guard>> {
        let (Some(url), Some(path)) = (&self.governance_service_url, &self.policy_public_key_file) else {
            return Ok(None);
        };
        let client = Client::new(url).context("GOVERNANCE_SERVICE_URL cannot be used")?;
        let refresh = Duration::from_secs(u64::from(self.policy_refresh_seconds));
        let tenants = Tenants::new(client, PublicKeys::load(path)?, refresh);
        Ok(Some(Guard(Arc::new(tenants))))
    }
}
