//! What the library signs with: the crates that the rest of the service hashes with, and no further one.

use hmac::{Hmac, KeyInit as _, Mac as _};
use object_store::client::{CryptoProvider, DigestAlgorithm, DigestContext, HmacContext, Signer, SigningAlgorithm};
use object_store::{Error, Result};
use sha2::{Digest as _, Sha256};

/// SHA-256 and its HMAC.
#[derive(Debug)]
pub(super) struct Crypto;

struct Digesting(Sha256, Vec<u8>);

struct Authenticating(Hmac<Sha256>, Vec<u8>);

impl CryptoProvider for Crypto {
    fn digest(&self, algorithm: DigestAlgorithm) -> Result<Box<dyn DigestContext>> {
        match algorithm {
            DigestAlgorithm::Sha256 => Ok(Box::new(Digesting(Sha256::new(), Vec::new()))),
            _ => Err(unknown("a digest")),
        }
    }

    fn hmac(&self, algorithm: DigestAlgorithm, secret: &[u8]) -> Result<Box<dyn HmacContext>> {
        match algorithm {
            DigestAlgorithm::Sha256 => {
                let state = Hmac::new_from_slice(secret).map_err(|_| unknown("a key"))?;
                Ok(Box::new(Authenticating(state, Vec::new())))
            }
            _ => Err(unknown("an HMAC")),
        }
    }

    fn sign(&self, _: SigningAlgorithm, _: &[u8]) -> Result<Box<dyn Signer>> {
        // Requests of S3 are signed with an HMAC.
        Err(unknown("a signature"))
    }
}

impl DigestContext for Digesting {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.1 = self.0.clone().finalize().to_vec();
        Ok(&self.1)
    }
}

impl HmacContext for Authenticating {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.1 = self.0.clone().finalize().into_bytes().to_vec();
        Ok(&self.1)
    }
}

fn unknown(what: &str) -> Error {
    Error::NotSupported {
        source: format!("{what} that S3 does not need").into(),
    }
}

#[cfg(test)]
mod tests {
    use aeterna_kit::hex::hex;

    use super::*;

    #[test]
    fn digest_and_hmac_are_those_of_the_standards() {
        // FIPS 180-2, appendix B.1, in two pieces.
        let mut digest = Crypto.digest(DigestAlgorithm::Sha256).expect("known");
        digest.update(b"a");
        digest.update(b"bc");
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(digest.finish().expect("a digest")), expected);
        // RFC 4231, test case 2.
        let mut mac = Crypto.hmac(DigestAlgorithm::Sha256, b"Jefe").expect("known");
        mac.update(b"what do ya want ");
        mac.update(b"for nothing?");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(mac.finish().expect("an HMAC")), expected);
    }
}
