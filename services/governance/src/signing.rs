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

pub use aeterna_policy::signed::{Domain, PublicKey, PublicKeys, Signed};

/// The key.
pub struct Signer {
    key: SigningKey,
    public: PublicKey,
    /// The key's own, and those that it took the place of.
    believed: PublicKeys,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.key_id())
    }
}

impl Signer {
    /// Reads a private key in PEM (PKCS #8), as `openssl genpkey -algorithm ed25519` makes one. Public keys that stand in the
    /// same file are those that were in use before it: what they signed stays good.
    ///
    /// # Errors
    /// When the file cannot be read or holds no such key. Its text is not repeated.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let pem = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::read(&pem).with_context(|| format!("{} holds no Ed25519 private key in PEM", path.display()))
    }

    fn read(pem: &str) -> Option<Self> {
        let (begin, end) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
        let (inside, _) = pem.split_once(begin)?.1.split_once(end)?;
        let key = SigningKey::from_pkcs8_pem(&format!("{begin}{inside}{end}\n")).ok()?;
        Some(Self::of(key, PublicKeys::read(pem)?))
    }

    fn of(key: SigningKey, former: PublicKeys) -> Self {
        let public = PublicKey::of(key.verifying_key());
        let believed = former.with(public.clone());
        Self { key, public, believed }
    }

    #[cfg(test)]
    pub(crate) fn of_seed(seed: [u8; 32]) -> Self {
        Self::of(SigningKey::from_bytes(&seed), PublicKeys::of([]))
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

    /// Returns the text of something that this key signed for the purpose, or one that was in use before it.
    #[must_use]
    pub fn verify<'a>(&self, domain: Domain, signed: &'a Signed) -> Option<&'a str> {
        self.believed.verify(domain, signed)
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::pkcs8::EncodePrivateKey as _;

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

    #[test]
    fn a_new_key_believes_what_the_one_before_it_has_signed_if_its_file_names_it() {
        let (old, new) = (Signer::of_seed([1; 32]), SigningKey::from_bytes(&[2; 32]));
        let pem = new.to_pkcs8_pem(LineEnding::LF).expect("PEM");
        let signed = old.sign(Domain::AuditCheckpoint, "text".to_owned());
        let alone = Signer::read(&pem).expect("a key");
        assert_eq!(alone.verify(Domain::AuditCheckpoint, &signed), None);
        let former = old.public_pem().expect("PEM");
        for file in [format!("{}{former}", pem.as_str()), format!("{former}{}", pem.as_str())] {
            let both = Signer::read(&file).expect("a key");
            assert_eq!(both.verify(Domain::AuditCheckpoint, &signed), Some("text"));
            assert_eq!(both.key_id(), alone.key_id());
            let own = both.sign(Domain::AuditCheckpoint, "text".to_owned());
            assert_eq!(both.verify(Domain::AuditCheckpoint, &own), Some("text"));
        }
        assert!(Signer::read(&former).is_none(), "a public key signs nothing");
    }
}
