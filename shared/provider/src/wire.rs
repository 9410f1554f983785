//! What travels between Replicate and a client: bodies of requests and answers, both ways, so that the
//! client and the simulator cannot drift apart. Reading is tolerant where the service is known to vary
//! (missing `output`, timestamps with or without fractions, metrics that come and go, plain-text bodies);
//! writing is what the service documents.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Header with the id of a webhook message; stays the same when the message is sent again.
pub const WEBHOOK_ID: &str = "webhook-id";
/// Header with the second (Unix time) at which this try was signed.
pub const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";
/// Header with a space-separated list of `v1,<base64>`.
pub const WEBHOOK_SIGNATURE: &str = "webhook-signature";
/// Header that bounds a run from its creation on: `30`, `30s`, `5m`, `1h30m45s`.
pub const CANCEL_AFTER: &str = "cancel-after";

/// Where the provider says a prediction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PredictionStatus {
    /// Accepted; the model is being brought up.
    Starting,
    /// The model runs.
    Processing,
    /// Finished with an output.
    Succeeded,
    /// Finished with an error.
    Failed,
    /// Called off after it started, by the user or by its deadline.
    Canceled,
    /// Its deadline passed before it started; never charged.
    Aborted,
    /// A status this build does not know. Not final: keep asking.
    #[serde(other)]
    Unknown,
}

impl PredictionStatus {
    /// Nothing more will happen to it.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled | Self::Aborted)
    }

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Aborted => "aborted",
            Self::Unknown => "unknown",
        }
    }
}

/// A prediction as create, get, list, cancel and webhooks show it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The provider's id. Text; its length and alphabet have changed before.
    pub id: String,
    /// `owner/name`. May differ from the slug that was asked for.
    #[serde(default)]
    pub model: String,
    /// 64 hex digits, or `hidden` for official models.
    #[serde(default)]
    pub version: String,
    /// The input as sent; emptied an hour after the end.
    #[serde(default, deserialize_with = "null_as_default")]
    pub input: Map<String, Value>,
    /// Text the model printed. Absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<String>,
    /// A URL, a list of URLs, an object, or null: it depends on the model. See [`Prediction::output_urls`].
    #[serde(default)]
    pub output: Option<Value>,
    /// True once input, output and logs have been deleted.
    #[serde(default, deserialize_with = "null_as_default")]
    pub data_removed: bool,
    /// Why it failed. See [`Prediction::error_text`].
    #[serde(default)]
    pub error: Option<Value>,
    /// Where it stands.
    pub status: PredictionStatus,
    /// `api` or `web`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When the model started on it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub started_at: Option<DateTime<Utc>>,
    /// When it became final.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub completed_at: Option<DateTime<Utc>>,
    /// When the provider itself will stop it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub deadline: Option<DateTime<Utc>>,
    /// What was produced and how long it took: the only evidence for the bill. Complete on final objects only.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub metrics: Option<Metrics>,
    /// Where to ask about it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub urls: PredictionUrls,
    /// Echo of the request; not promised on get and list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// Echo of the request; not promised on get and list.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub webhook_events_filter: Option<Vec<WebhookEvent>>,
}

impl Prediction {
    /// Every URL of the output, in order, whatever its shape.
    pub fn output_urls(&self) -> Vec<&str> {
        fn collect<'a>(value: &'a Value, urls: &mut Vec<&'a str>) {
            match value {
                Value::String(text) if is_url(text) => urls.push(text),
                Value::Array(items) => items.iter().for_each(|item| collect(item, urls)),
                Value::Object(map) => map.values().for_each(|item| collect(item, urls)),
                _ => {}
            }
        }
        let mut urls = Vec::new();
        if let Some(output) = &self.output {
            collect(output, &mut urls);
        }
        urls
    }

    /// The error as text; some models put an object there.
    pub fn error_text(&self) -> Option<String> {
        match self.error.as_ref()? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://") || text.starts_with("data:")
}

/// Links of a prediction. Follow them only on the host the token belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PredictionUrls {
    /// Reads it.
    #[serde(default)]
    pub get: String,
    /// Calls it off.
    #[serde(default)]
    pub cancel: String,
    /// Its page for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web: Option<String>,
    /// Server-sent events, language models only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
}

/// What a run took and made. An open bag: what is not named here is kept in `other`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Seconds the model ran.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub predict_time: Option<f64>,
    /// Seconds from creation to the end.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub total_time: Option<f64>,
    /// Seconds of video made.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub video_output_duration_seconds: Option<f64>,
    /// Videos made.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub video_output_count: Option<u64>,
    /// Seconds of audio made.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub audio_output_duration_seconds: Option<f64>,
    /// Images made.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub image_output_count: Option<u64>,
    /// Characters read (speech).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub character_input_count: Option<u64>,
    /// Resolution the price depends on, such as `1080p`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub resolution_target: Option<String>,
    /// Whether the model made sound of its own; the price depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub with_audio: Option<bool>,
    /// Everything else, as it came.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Body of a create request. The service refuses any key beside these.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CreatePrediction {
    /// Only on `POST /predictions`: 64 hex digits, `owner/name:64hex`, or `owner/name` of an official model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The model's input.
    pub input: Map<String, Value>,
    /// Where to report; may carry a query of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// Which events; the service's default is output and completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_events_filter: Option<Vec<WebhookEvent>>,
}

/// What a webhook may report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookEvent {
    /// Created.
    Start,
    /// New output, at most one every 500 ms.
    Output,
    /// New log text, at most one every 500 ms.
    Logs,
    /// Final.
    Completed,
}

/// One page of a list, newest first. Follow `next` as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// URL of the older page.
    #[serde(default)]
    pub next: Option<String>,
    /// URL of the newer page.
    #[serde(default)]
    pub previous: Option<String>,
    /// The rows.
    pub results: Vec<T>,
}

/// An error answer. All of it is optional: bodies differ by route and by year.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProblemBody {
    /// Short name of the kind of problem.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub title: Option<String>,
    /// A sentence about this case.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub detail: Option<String>,
    /// The HTTP status once more.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub status: Option<u16>,
    /// Seconds to wait (429). A fraction is possible.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub retry_after: Option<f64>,
    /// What is wrong with the input (422).
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient_default")]
    pub invalid_fields: Vec<InvalidField>,
}

impl ProblemBody {
    /// Reads whatever came, JSON or not. A body that is no JSON object becomes `detail`, cut to 500 characters.
    pub fn parse(body: &[u8]) -> Self {
        if let Ok(Value::Object(map)) = serde_json::from_slice::<Value>(body)
            && let Ok(problem) = serde_json::from_value(Value::Object(map))
        {
            return problem;
        }
        let text: String = String::from_utf8_lossy(body).trim().chars().take(500).collect();
        Self { detail: (!text.is_empty()).then_some(text), ..Self::default() }
    }

    /// Seconds to wait as the sentence puts it: `… resets in ~30s.`, `Expected available in 1 second.`
    pub fn seconds_in_detail(&self) -> Option<u64> {
        let detail = self.detail.as_deref()?;
        let tail = detail
            .rsplit_once("resets in ~")
            .or_else(|| detail.rsplit_once("available in "))
            .map(|(_, tail)| tail)?;
        let digits: String = tail.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    }
}

/// One complaint of a 422.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvalidField {
    /// Kind: `required`, `enum`, `number_lte`, `additional_property_not_allowed`, …
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Path such as `input.duration`.
    #[serde(default)]
    pub field: String,
    /// A sentence.
    #[serde(default)]
    pub description: String,
}

/// A file kept by the provider for 24 hours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileObject {
    /// Its id.
    pub id: String,
    /// Its file name.
    #[serde(default)]
    pub name: String,
    /// MIME type as sent.
    #[serde(default)]
    pub content_type: String,
    /// Bytes.
    #[serde(default)]
    pub size: u64,
    /// Entity tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Digests of the bytes.
    #[serde(default)]
    pub checksums: FileChecksums,
    /// What the uploader attached.
    #[serde(default, deserialize_with = "null_as_default")]
    pub metadata: Map<String, Value>,
    /// When it came.
    pub created_at: DateTime<Utc>,
    /// When it will be deleted.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub expires_at: Option<DateTime<Utc>>,
    /// `get` is what goes into a model's input.
    pub urls: FileUrls,
}

/// Digests of a file, lowercase hex.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChecksums {
    /// SHA-256.
    #[serde(default)]
    pub sha256: String,
    /// MD5; not always sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
}

/// Links of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileUrls {
    /// Its record, and the value to pass as a model's input.
    pub get: String,
}

/// The account's webhook secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSecret {
    /// `whsec_` and base64.
    pub key: String,
}

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret { key: [hidden] }")
    }
}

/// Whose token it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// `user` or `organization`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Login name.
    #[serde(default)]
    pub username: String,
    /// Name for people.
    #[serde(default)]
    pub name: String,
}

/// A value of the wrong type counts as absent: one odd field must not hide a prediction that costs money.
fn lenient<'de, D: Deserializer<'de>, T: serde::de::DeserializeOwned>(d: D) -> Result<Option<T>, D::Error> {
    Ok(Option::<Value>::deserialize(d)?.and_then(|value| serde_json::from_value(value).ok()))
}

fn lenient_default<'de, D: Deserializer<'de>, T: serde::de::DeserializeOwned + Default>(
    d: D,
) -> Result<T, D::Error> {
    Ok(lenient(d)?.unwrap_or_default())
}

fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
