//! Secrets of the endpoints that we send webhooks to. None is stored: each is made again from a random salt, which is, and the signing
//! key of the programs. A copy of the database alone signs nothing, and neither does the key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// Length of a salt.
pub const SALT_BYTES: usize = 32;

/// Why there is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// No key at all.
    #[error("the signing key is empty")]
    NoKey,
    /// Another key would sign what the endpoint cannot verify.
    #[error(
        "SPOOL_SIGNING_KEY is not the one that the endpoint's secret was made with; rotate the secret, or set the key as it was"
    )]
    OtherKey,
}

/// Makes the secrets.
#[derive(Clone)]
pub struct HookSecrets {
    mac: Hmac<Sha256>,
}

impl HookSecrets {
    /// # Errors
    /// [`SecretError::NoKey`] for an empty key.
    pub fn new(signing_key: &SecretString) -> Result<Self, SecretError> {
        let key = signing_key.expose_secret().as_bytes();
        if key.is_empty() {
            return Err(SecretError::NoKey);
        }
        Ok(Self { mac: Hmac::new_from_slice(key).map_err(|_| SecretError::NoKey)? })
    }

    /// The secret of a salt, `whsec_` and base64, and the digest that it is known by.
    pub fn make(&self, salt: &[u8]) -> (SecretString, Vec<u8>) {
        let mut mac = self.mac.clone();
        // The label keeps it apart from anything else that is signed with the same key.
        mac.update(b"spool-hook-1\n");
        mac.update(salt);
        let secret = format!("whsec_{}", STANDARD.encode(mac.finalize().into_bytes()));
        let digest = Sha256::digest(secret.as_bytes()).to_vec();
        (SecretString::from(secret), digest)
    }

    /// The secret that was made with this salt and has this digest.
    ///
    /// # Errors
    /// [`SecretError::OtherKey`] when it was made with another signing key.
    pub fn again(&self, salt: &[u8], digest: &[u8]) -> Result<SecretString, SecretError> {
        let (secret, made) = self.make(salt);
        if bool::from(made.ct_eq(digest)) { Ok(secret) } else { Err(SecretError::OtherKey) }
    }
}

impl fmt::Debug for HookSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HookSecrets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(key: &str) -> HookSecrets {
        HookSecrets::new(&SecretString::from(key)).unwrap()
    }

    #[test]
    fn a_secret_comes_again_and_only_with_its_key_and_salt() {
        let ours = secrets("a signing key of thirty-two chars or more");
        let (secret, digest) = ours.make(&[7; SALT_BYTES]);
        let text = secret.expose_secret();
        let key = STANDARD.decode(text.strip_prefix("whsec_").unwrap()).unwrap();
        assert_eq!(key.len(), 32);
        assert_eq!(ours.again(&[7; SALT_BYTES], &digest).unwrap().expose_secret(), text);
        assert_eq!(ours.again(&[8; SALT_BYTES], &digest).unwrap_err(), SecretError::OtherKey);
        assert_eq!(secrets("other").again(&[7; SALT_BYTES], &digest).unwrap_err(), SecretError::OtherKey);
        assert_ne!(ours.make(&[8; SALT_BYTES]).0.expose_secret(), text);
        assert_eq!(HookSecrets::new(&SecretString::from("")).unwrap_err(), SecretError::NoKey);
    }

    #[test]
    fn none_is_shown() {
        let ours = secrets("a signing key of thirty-two chars or more");
        let shown = format!("{ours:?} {:?}", ours.make(&[7; SALT_BYTES]).0);
        assert!(!shown.contains("whsec_") && !shown.contains("signing key"), "{shown}");
    }
}
