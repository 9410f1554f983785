//! Links to media that need no key: bound to one path, for a limited time, signed with HMAC-SHA256.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use std::fmt;

/// The shortest key that is accepted, in bytes.
const MIN_KEY_BYTES: usize = 16;

/// Makes and checks signed links with one key.
#[derive(Clone)]
pub struct LinkSigner {
    mac: Hmac<Sha256>,
}

/// Why a link is refused. All of them are answered alike (403): a caller learns nothing from the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The signing key would be guessable.
    #[error("the signing key is too short: give at least {MIN_KEY_BYTES} characters")]
    WeakKey,
    /// The signature belongs to another path, time or key.
    #[error("the link's signature is not valid")]
    BadSignature,
    /// The link was good once.
    #[error("the link has expired")]
    Expired,
}

impl LinkSigner {
    /// # Errors
    /// [`LinkError::WeakKey`] for a key of fewer than 16 bytes.
    pub fn new(key: &SecretString) -> Result<Self, LinkError> {
        let key = key.expose_secret().as_bytes();
        if key.len() < MIN_KEY_BYTES {
            return Err(LinkError::WeakKey);
        }
        Ok(Self { mac: Hmac::new_from_slice(key).map_err(|_| LinkError::WeakKey)? })
    }

    /// The query (without `?`) that opens `path` until `expires_at`, to the second.
    pub fn sign(&self, path: &str, expires_at: DateTime<Utc>) -> String {
        let exp = expires_at.timestamp();
        let signature = URL_SAFE_NO_PAD.encode(self.keyed(path, exp).finalize().into_bytes());
        format!("exp={exp}&sig={signature}")
    }

    /// As [`LinkSigner::sign`], but the expiry is rounded up to a multiple of `step`, so that the same link is
    /// handed out for a while and caches can keep what it shows. It lives between `ttl` and `ttl + step`.
    pub fn sign_rounded(&self, path: &str, now: DateTime<Utc>, ttl: TimeDelta, step: TimeDelta) -> String {
        let step = step.num_seconds().max(1);
        let exp = (now + ttl).timestamp();
        let rounded = exp + (step - exp.rem_euclid(step)) % step;
        self.sign(path, DateTime::from_timestamp(rounded, 0).unwrap_or(now + ttl))
    }

    /// Checks `exp` and `sig` of a request for `path` (decoded, without the query).
    ///
    /// # Errors
    /// The signature does not fit, or the link has expired.
    pub fn verify(&self, path: &str, exp: i64, sig: &str, now: DateTime<Utc>) -> Result<(), LinkError> {
        let signature = URL_SAFE_NO_PAD.decode(sig).map_err(|_| LinkError::BadSignature)?;
        // Compares in constant time.
        self.keyed(path, exp).verify_slice(&signature).map_err(|_| LinkError::BadSignature)?;
        if now.timestamp() < exp { Ok(()) } else { Err(LinkError::Expired) }
    }

    fn keyed(&self, path: &str, exp: i64) -> Hmac<Sha256> {
        // The label keeps these signatures apart from anything else signed with the same key; the number
        // stands before the path, so that no path can imitate another pair.
        let mut mac = self.mac.clone();
        mac.update(format!("spool-link-1\n{exp}\n{path}").as_bytes());
        mac
    }
}

impl fmt::Debug for LinkSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkSigner")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(key: &str) -> LinkSigner {
        LinkSigner::new(&SecretString::from(key)).expect("a long key")
    }

    fn parts(query: &str) -> (i64, String) {
        let (exp, sig) = query.split_once('&').expect("two parameters");
        let exp = exp.strip_prefix("exp=").expect("exp").parse().expect("a number");
        (exp, sig.strip_prefix("sig=").expect("sig").to_owned())
    }

    #[test]
    fn a_link_opens_its_own_path_for_its_own_time() {
        let signer = signer("0123456789abcdef");
        let now = DateTime::from_timestamp(1_795_230_062, 0).expect("a time");
        let (exp, sig) = parts(&signer.sign("/api/v3/media/1/first.jpg", now + TimeDelta::hours(1)));
        let check = |path: &str, exp: i64, sig: &str, after: i64| {
            signer.verify(path, exp, sig, now + TimeDelta::seconds(after))
        };
        assert_eq!(check("/api/v3/media/1/first.jpg", exp, &sig, 0), Ok(()));
        assert_eq!(check("/api/v3/media/1/first.jpg", exp, &sig, 3599), Ok(()));
        assert_eq!(check("/api/v3/media/1/first.jpg", exp, &sig, 3600), Err(LinkError::Expired));
        assert_eq!(check("/api/v3/media/2/first.jpg", exp, &sig, 0), Err(LinkError::BadSignature));
        assert_eq!(check("/api/v3/media/1/first.jpg", exp + 1, &sig, 0), Err(LinkError::BadSignature));
        assert_eq!(check("/api/v3/media/1/first.jpg", exp, "", 0), Err(LinkError::BadSignature));
        assert_eq!(check("/api/v3/media/1/first.jpg", exp, "!!", 0), Err(LinkError::BadSignature));
        assert_eq!(check("/api/v3/media/1/first.jpg", exp, &sig[1..], 0), Err(LinkError::BadSignature));
        let other = LinkSigner::new(&SecretString::from("fedcba9876543210")).expect("a long key");
        assert_eq!(other.verify("/api/v3/media/1/first.jpg", exp, &sig, now), Err(LinkError::BadSignature));
    }

    #[test]
    fn rounded_links_stay_the_same_and_never_live_shorter() {
        let signer = signer("0123456789abcdef");
        let start = DateTime::from_timestamp(1_795_230_000, 0).expect("a time");
        let (ttl, step) = (TimeDelta::minutes(10), TimeDelta::minutes(5));
        for second in 0..600 {
            let now = start + TimeDelta::seconds(second);
            let (exp, _) = parts(&signer.sign_rounded("/x", now, ttl, step));
            assert_eq!(exp % 300, 0);
            assert!((600..900).contains(&(exp - now.timestamp())), "{second}");
        }
    }

    #[test]
    fn the_key_is_long_and_never_shown() {
        assert!(matches!(LinkSigner::new(&SecretString::from("short")), Err(LinkError::WeakKey)));
        assert_eq!(format!("{:?}", signer("0123456789abcdef")), "LinkSigner");
    }
}
