//! A governance service, a relay before it, and services that take their policies through it.

use aeterna_testkit::Postgres;
use anyhow::{Context as _, Result};
use serde_json::json;

use super::relay::Relay;
use crate::api::service::Service as Memory;
use crate::governance::service::{Service as Governance, of_acme};
use crate::ground::Ground;
use crate::knowledge::service::Service as Knowledge;
use crate::sync::service::Sync;

/// All of it.
pub struct World {
    pub governance: Governance,
    pub relay: Relay,
    key: tempfile::NamedTempFile,
}

impl World {
    /// Starts the governance service, whose snapshots may be so many seconds old.
    pub async fn start(max_age: u32) -> Result<Self> {
        let age = max_age.to_string();
        let options = ["--policy-snapshot-max-age-seconds", age.as_str()];
        let governance = Governance::start_with(Postgres::shared().await?, true, &options).await?;
        let signer = governance.state.signer.as_ref().context("it has a key")?;
        let key = tempfile::NamedTempFile::new()?;
        std::fs::write(key.path(), signer.public_pem().context("a public key")?)?;
        let relay = Relay::start(&governance.url).await?;
        Ok(Self { governance, relay, key })
    }

    /// Returns the options of a service that takes its policies from here, and new ones every second.
    pub fn options(&self) -> Vec<String> {
        let key = self.key.path().to_string_lossy();
        let words = [
            "--auth-mode",
            "disabled",
            "--governance-service-url",
            &self.relay.url,
            "--policy-public-key-file",
            &key,
            "--policy-refresh-seconds",
            "1",
        ];
        words.map(str::to_owned).to_vec()
    }

    /// Grants a role to somebody of acme, or revokes it.
    pub async fn change_role(&self, change: &str, principal: &str, role: &str) -> Result<()> {
        let body = json!({"principal": principal, "role": role});
        let path = format!("/api/v1/roles/{change}");
        let changed = self.governance.post(of_acme("root", "Admin"), &path, &body).await?;
        changed.expect(200)
    }

    /// Starts a memory service.
    pub async fn memory(&self) -> Result<Memory> {
        let options = self.options();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        Memory::start_on(Ground::new().await?, &options).await
    }

    /// Starts a memory service that asks for policies so seldom.
    pub async fn memory_that_asks_after(&self, seconds: u32) -> Result<Memory> {
        let mut options = self.options();
        options.truncate(options.len() - 1);
        options.push(seconds.to_string());
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        Memory::start_on(Ground::new().await?, &options).await
    }

    /// Starts a knowledge service.
    pub async fn knowledge(&self) -> Result<Knowledge> {
        let options = self.options();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        Knowledge::start_on(Postgres::shared().await?, &options).await
    }

    /// Starts a sync service beside a memory service, which decides by nothing.
    pub async fn sync(&self) -> Result<Sync> {
        let options = self.options();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        Sync::start_on(Ground::new().await?, &options).await
    }
}
