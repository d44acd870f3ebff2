//! Texts signed with Ed25519, and the public key that tells them from others.
//!
//! A signature is over its purpose and the text, so what was signed for one purpose passes for no other. The private key is
//! the governance service's alone.

use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::pkcs8::DecodePublicKey as _;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use aeterna_kit::hex::hex;

/// What a signature is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// How far an audit chain had come.
    AuditCheckpoint,
    /// The policies of a tenant.
    PolicySnapshot,
}

impl Domain {
    /// Returns the bytes that are signed for a text.
    #[must_use]
    pub fn message(self, text: &str) -> Vec<u8> {
        let prefix = match self {
            Self::AuditCheckpoint => "aeterna.audit-checkpoint.v1\n",
            Self::PolicySnapshot => "aeterna.policy-snapshot.v1\n",
        };
        [prefix.as_bytes(), text.as_bytes()].concat()
    }
}

/// A text and its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Signed {
    /// The text that is signed, byte for byte; JSON.
    pub text: String,
    /// Which key: the first 16 hexadecimal digits of the SHA-256 of the public key.
    pub key_id: String,
    /// Ed25519 over the purpose's prefix and the text, in base64.
    pub signature: String,
}

/// A public key.
#[derive(Debug, Clone)]
pub struct PublicKey {
    key: VerifyingKey,
    key_id: String,
}

impl PublicKey {
    /// Takes a key.
    #[must_use]
    pub fn of(key: VerifyingKey) -> Self {
        let digest = Sha256::digest(key.as_bytes());
        let key_id = hex(digest.get(..8).unwrap_or_default());
        Self { key, key_id }
    }

    /// Reads a public key in PEM, as `openssl pkey -in key.pem -pubout` writes one.
    ///
    /// # Errors
    /// When the file cannot be read or holds no such key.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let pem = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let key = VerifyingKey::from_public_key_pem(&pem)
            .ok()
            .with_context(|| format!("{} holds no Ed25519 public key in PEM", path.display()))?;
        Ok(Self::of(key))
    }

    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.key_id
    }

    /// Returns the text of something that was signed with this key for the purpose.
    #[must_use]
    pub fn verify<'a>(&self, domain: Domain, signed: &'a Signed) -> Option<&'a str> {
        let signature = Signature::from_slice(&BASE64.decode(&signed.signature).ok()?).ok()?;
        self.key
            .verify_strict(&domain.message(&signed.text), &signature)
            .ok()
            .map(|()| signed.text.as_str())
    }
}
