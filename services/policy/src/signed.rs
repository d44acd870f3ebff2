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

    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.key_id
    }

    fn verify<'a>(&self, domain: Domain, signed: &'a Signed) -> Option<&'a str> {
        let signature = Signature::from_slice(&BASE64.decode(&signed.signature).ok()?).ok()?;
        self.key
            .verify_strict(&domain.message(&signed.text), &signature)
            .ok()
            .map(|()| signed.text.as_str())
    }
}

/// The keys that are believed: the one in use, and those that it took the place of, whose signatures stay good.
#[derive(Debug, Clone)]
pub struct PublicKeys(Vec<PublicKey>);

impl PublicKeys {
    /// Takes keys.
    #[must_use]
    pub fn of(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        Self(keys.into_iter().collect())
    }

    /// Reads public keys in PEM, as `openssl pkey -in key.pem -pubout` writes one; a file may hold several.
    ///
    /// # Errors
    /// When the file cannot be read, or holds none or something else.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let pem = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let keys = Self::read(&pem).filter(|keys| !keys.0.is_empty());
        keys.with_context(|| format!("{} holds no Ed25519 public key in PEM", path.display()))
    }

    /// Reads all public keys of a text in PEM; none when one of them is no Ed25519 key.
    #[must_use]
    pub fn read(pem: &str) -> Option<Self> {
        let (begin, end) = ("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----");
        let blocks = pem.split(begin).skip(1);
        let read = |block: &str| {
            let (inside, _) = block.split_once(end)?;
            let key = VerifyingKey::from_public_key_pem(&format!("{begin}{inside}{end}\n")).ok()?;
            Some(PublicKey::of(key))
        };
        blocks.map(read).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Adds one.
    #[must_use]
    pub fn with(mut self, key: PublicKey) -> Self {
        self.0.push(key);
        self
    }

    /// Returns the ids of the keys.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        self.0.iter().map(PublicKey::id).collect()
    }

    /// Returns the text of something that the key which it names signed for the purpose, if that key is one of these.
    #[must_use]
    pub fn verify<'a>(&self, domain: Domain, signed: &'a Signed) -> Option<&'a str> {
        let named = self.0.iter().find(|key| key.key_id == signed.key_id)?;
        named.verify(domain, signed)
    }
}
