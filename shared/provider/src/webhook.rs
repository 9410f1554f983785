//! Webhook signatures (Standard Webhooks): HMAC-SHA256 over id, time and the raw body.

use crate::wire::{WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// How far a message's time may be from ours, in seconds.
pub const TOLERANCE_S: i64 = 300;

/// Why a message is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// A header is absent or not text.
    #[error("the webhook has no {0} header")]
    Missing(&'static str),
    /// Signed too long ago, or in the future.
    #[error("the webhook was signed {0} s from now, allowed are {TOLERANCE_S} s")]
    Stale(i64),
    /// No signature matches.
    #[error("the webhook's signature does not match its body")]
    Mismatch,
    /// Our own secret is not one.
    #[error("the webhook secret is not whsec_ and base64")]
    BadSecret,
}

/// A message that is what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Stays the same when the message is sent again.
    pub id: String,
    /// When this try was signed.
    pub timestamp: i64,
}

/// Checks a message's headers against its raw bytes.
pub fn verify(
    secret: &SecretString,
    headers: &HeaderMap,
    body: &[u8],
    now: DateTime<Utc>,
) -> Result<Verified, WebhookError> {
    let header = |name: &'static str| {
        headers.get(name).and_then(|value| value.to_str().ok()).ok_or(WebhookError::Missing(name))
    };
    let id = header(WEBHOOK_ID)?;
    let timestamp: i64 =
        header(WEBHOOK_TIMESTAMP)?.trim().parse().map_err(|_| WebhookError::Missing(WEBHOOK_TIMESTAMP))?;
    let age = now.timestamp().saturating_sub(timestamp);
    if age.saturating_abs() > TOLERANCE_S {
        return Err(WebhookError::Stale(age));
    }
    let expected = sign(secret, id, timestamp, body)?;
    // A list, because two secrets are valid while one replaces the other.
    let genuine = header(WEBHOOK_SIGNATURE)?
        .split_ascii_whitespace()
        .any(|candidate| bool::from(candidate.as_bytes().ct_eq(expected.as_bytes())));
    if genuine { Ok(Verified { id: id.to_owned(), timestamp }) } else { Err(WebhookError::Mismatch) }
}

/// The signature, `v1,` and base64.
pub fn sign(secret: &SecretString, id: &str, timestamp: i64, body: &[u8]) -> Result<String, WebhookError> {
    let key = secret.expose_secret().strip_prefix("whsec_").ok_or(WebhookError::BadSecret)?;
    let key = STANDARD.decode(key).map_err(|_| WebhookError::BadSecret)?;
    // Anyone can sign with an empty key.
    if key.is_empty() {
        return Err(WebhookError::BadSecret);
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| WebhookError::BadSecret)?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const SECRET: &str = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcY";
    const ID: &str = "msg_2simVector000000000000001";
    const TIMESTAMP: i64 = 1_795_230_062;
    const BODY: &str = r#"{"id":"sim0000000000000000000000","model":"google/veo-3.1-fast","version":"hidden","input":{"prompt":"a slow dolly through a sunlit kitchen","duration":4},"logs":"","output":"https://replicate.delivery/xezq/sim/output.mp4","data_removed":false,"error":null,"source":"api","status":"succeeded","created_at":"2026-11-21T03:00:00.000Z","started_at":"2026-11-21T03:00:01.250Z","completed_at":"2026-11-21T03:01:02.500Z","metrics":{"predict_time":61.25,"total_time":62.5,"video_output_duration_seconds":4,"video_output_count":1,"with_audio":true},"urls":{"cancel":"https://api.replicate.com/v1/predictions/sim0000000000000000000000/cancel","get":"https://api.replicate.com/v1/predictions/sim0000000000000000000000","web":"https://replicate.com/p/sim0000000000000000000000"}}"#;
    const SIGNATURE: &str = "v1,PdDYRXYoncC39Lw+WtewDXd9TxQi6rNOdwIrbZuJ09g=";
    const ROTATED: &str =
        "v1,nIaiBlYYuZQwiLu73jkBNySWx9sNk8tLgCkgnQIfkso= v1,PdDYRXYoncC39Lw+WtewDXd9TxQi6rNOdwIrbZuJ09g=";

    fn check(signature: &'static str, body: &[u8], seconds_later: i64) -> Result<Verified, WebhookError> {
        let mut headers = HeaderMap::new();
        headers.insert(WEBHOOK_ID, HeaderValue::from_static(ID));
        headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(TIMESTAMP));
        headers.insert(WEBHOOK_SIGNATURE, HeaderValue::from_static(signature));
        let now = DateTime::from_timestamp(TIMESTAMP + seconds_later, 0).unwrap();
        verify(&SecretString::from(SECRET), &headers, body, now)
    }

    #[test]
    fn the_worked_vector_verifies_alone_and_in_a_rotation() {
        assert_eq!(BODY.len(), 768);
        assert_eq!(
            check(SIGNATURE, BODY.as_bytes(), 0),
            Ok(Verified { id: ID.into(), timestamp: TIMESTAMP })
        );
        assert!(check(ROTATED, BODY.as_bytes(), 299).is_ok());
    }

    #[test]
    fn the_published_vector_signs_as_published() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature =
            sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_was_written_anew_or_late_does_not() {
        let again = BODY.replace("\":", "\": ").replace(",\"", ", \"");
        assert_eq!(again.len(), 814);
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&again).unwrap(),
            serde_json::from_str::<serde_json::Value>(BODY).unwrap()
        );
        assert_eq!(check(SIGNATURE, again.as_bytes(), 0), Err(WebhookError::Mismatch));
        assert_eq!(check(SIGNATURE, BODY.as_bytes(), 301), Err(WebhookError::Stale(301)));
        assert_eq!(check(SIGNATURE, BODY.as_bytes(), -301), Err(WebhookError::Stale(-301)));
        assert_eq!(check("v2,abc", BODY.as_bytes(), 0), Err(WebhookError::Mismatch));
        let none = verify(&SecretString::from(SECRET), &HeaderMap::new(), b"", DateTime::UNIX_EPOCH);
        assert_eq!(none, Err(WebhookError::Missing(WEBHOOK_ID)));
    }

    #[test]
    fn a_secret_that_is_none_signs_nothing() {
        for bad in ["", "whsec_", "AQIDBA==", "whsec_!!"] {
            assert_eq!(sign(&SecretString::from(bad), ID, 0, b""), Err(WebhookError::BadSecret), "{bad:?}");
        }
    }
}
