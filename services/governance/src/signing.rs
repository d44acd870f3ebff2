//! The service's Ed25519 key: signs what must be believed outside of the database.
//!
//! A signature is over its purpose and the text, so what was signed for one purpose passes for no other.

use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use ed25519_dalek::pkcs8::EncodePublicKey as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::{Signer as _, SigningKey};

pub use aeterna_policy::signed::{Domain, PublicKey, Signed};

/// The key.
pub struct Signer {
    key: SigningKey,
    public: PublicKey,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.key_id())
    }
}

impl Signer {
    /// Reads a private key in PEM (PKCS #8), as `openssl genpkey -algorithm ed25519` makes one.
    ///
    /// # Errors
    /// When the file cannot be read or holds no such key. Its text is not repeated.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let pem = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let key = SigningKey::from_pkcs8_pem(&pem)
            .ok()
            .with_context(|| format!("{} holds no Ed25519 private key in PEM", path.display()))?;
        Ok(Self::of(key))
    }

    fn of(key: SigningKey) -> Self {
        let public = PublicKey::of(key.verifying_key());
        Self { key, public }
    }

    #[cfg(test)]
    pub(crate) fn of_seed(seed: [u8; 32]) -> Self {
        Self::of(SigningKey::from_bytes(&seed))
    }

    /// Returns the key's id.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.public.id()
    }

    /// Returns the public key in PEM, for those who verify.
    #[must_use]
    pub fn public_pem(&self) -> Option<String> {
        self.key.verifying_key().to_public_key_pem(LineEnding::LF).ok()
    }

    /// Signs a text for a purpose.
    #[must_use]
    pub fn sign(&self, domain: Domain, text: String) -> Signed {
        let signature = self.key.sign(&domain.message(&text));
        Signed {
            text,
            key_id: self.key_id().to_owned(),
            signature: BASE64.encode(signature.to_bytes()),
        }
    }

    /// Returns the text of something that this key signed for the purpose.
    #[must_use]
    pub fn verify<'a>(&self, domain: Domain, signed: &'a Signed) -> Option<&'a str> {
        self.public.verify(domain, signed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_signed_for_one_purpose_passes_for_no_other() {
        let signer = Signer::of_seed([1; 32]);
        let signed = signer.sign(Domain::AuditCheckpoint, "text".to_owned());
        assert_eq!(signer.verify(Domain::AuditCheckpoint, &signed), Some("text"));
        assert_eq!(signer.verify(Domain::PolicySnapshot, &signed), None);
        let other = Signed {
            text: "other".to_owned(),
            ..signed
        };
        assert_eq!(signer.verify(Domain::AuditCheckpoint, &other), None);
    }
}
