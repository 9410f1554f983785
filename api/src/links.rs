//! Signed, expiring links to media: what `<img>`, `<video>` and providers can fetch without a key. A link opens
//! the one path it signs.

use chrono::{DateTime, Duration, DurationRound, Utc};
use http::Uri;
use spool_media::link::LinkSigner;
use url::{Url, form_urlencoded};
use uuid::Uuid;

use crate::error::{ApiError, Code};

/// How long a link in a JSON answer lives, at least.
const LIFE: Duration = Duration::hours(24);
/// Links of the same hour are the same, so that browsers can cache what is behind them.
const STEP: Duration = Duration::hours(1);

/// Makes and checks links.
pub struct Links {
    base: Url,
    signer: LinkSigner,
}

/// The signature that a request's query string carries.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Signed {
    /// Seconds since 1970.
    pub expires: i64,
    pub signature: String,
}

impl Signed {
    /// `None` when the query holds no signature at all.
    pub fn of(uri: &Uri) -> Option<Self> {
        let query = uri.query()?;
        let find = |wanted: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned())
        };
        // A missing or garbled end is one that has passed; the signature will not fit either.
        let expires = find("exp").and_then(|text| text.parse().ok()).unwrap_or(0);
        Some(Self { expires, signature: find("sig")? })
    }
}

impl Links {
    /// `base` is the address the outside knows us by.
    pub fn new(base: Url, signer: LinkSigner) -> Self {
        Self { base, signer }
    }

    /// Whether the outside reaches us by `https`.
    pub fn by_tls(&self) -> bool {
        self.base.scheme() == "https"
    }

    pub fn asset_data(&self, id: Uuid, now: DateTime<Utc>) -> String {
        self.sign(&format!("/api/v3/assets/{id}/data"), now)
    }

    pub fn asset_thumbnail(&self, id: Uuid, now: DateTime<Utc>) -> String {
        self.sign(&format!("/api/v3/assets/{id}/thumbnail"), now)
    }

    /// Of bytes by their digest: what is behind it never changes.
    pub fn content(&self, digest: &str, now: DateTime<Utc>) -> String {
        self.sign(&format!("/api/v3/content/{digest}"), now)
    }

    pub fn clip(&self, job_id: i64, scene: Uuid, now: DateTime<Utc>) -> String {
        self.sign(&format!("/api/v3/videos/{job_id}/clips/{scene}.mp4"), now)
    }

    pub fn clip_thumbnail(&self, job_id: i64, scene: Uuid, now: DateTime<Utc>) -> String {
        self.sign(&format!("/api/v3/videos/{job_id}/clips/{scene}.mp4/thumbnail"), now)
    }

    pub fn audio(&self, job_id: i64, now: DateTime<Utc>) -> String {
        self.sign(&format!("/api/v3/audio/{job_id}/download"), now)
    }

    pub fn audio_segment(&self, id: Uuid, now: DateTime<Utc>) -> String {
        self.sign(&format!("/api/v3/audio/segments/{id}"), now)
    }

    pub fn video(&self, job_id: i64, now: DateTime<Utc>) -> String {
        self.sign(&format!("/api/v3/videos/{job_id}/combined"), now)
    }

    pub fn video_thumbnail(&self, job_id: i64, now: DateTime<Utc>) -> String {
        self.sign(&format!("/api/v3/videos/{job_id}/thumbnail"), now)
    }

    /// When links made at `now` end. Part of the entity tag of bodies that hold links.
    pub fn expiry(now: DateTime<Utc>) -> DateTime<Utc> {
        now.duration_trunc(STEP).unwrap_or(now) + STEP + LIFE
    }

    fn sign(&self, path: &str, now: DateTime<Utc>) -> String {
        let base = self.base.as_str().trim_end_matches('/');
        format!("{base}{path}?{}", self.signer.sign(path, Self::expiry(now)))
    }

    /// Whether the link opens `path` at `now`. The refusal does not say which part of it is wrong.
    pub fn verify(&self, path: &str, signed: &Signed, now: DateTime<Utc>) -> Result<(), ApiError> {
        self.signer.verify(path, signed.expires, &signed.signature, now).map_err(|error| {
            ApiError::unauthorized(
                Code::BadSignature,
                "this link is not valid, or no longer: ask for a new one, or send a key",
            )
            .with_cause(error)
        })
    }
}
