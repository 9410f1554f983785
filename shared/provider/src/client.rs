//! Replicate's HTTP API, typed. A create is sent once, whatever happens; reads are repeated.

use crate::http::{CALL_TIMEOUT, api_client};
use crate::verdict::{Effect, ProviderError, Verdict};
use crate::wire::{
    Account, CANCEL_AFTER, CreatePrediction, FileObject, Page, Prediction, WebhookEvent, WebhookSecret,
};
use chrono::{DateTime, SecondsFormat, Utc};
use futures::future::BoxFuture;
use reqwest::{Client, Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Rests between the tries of a read.
const READ_RESTS: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(800)];
/// Largest answer that is read, in bytes; a full page of a list stays far below.
const MOST_ANSWER: usize = 32 * 1024 * 1024;
/// Time to send a file of the largest size over a slow line.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(300);
/// Pages of one list; the provider keeps an hour of predictions.
const MOST_PAGES: usize = 400;

/// Where the API is and whose account it is.
#[derive(Debug, Clone)]
pub struct ReplicateConfig {
    /// Such as `https://api.replicate.com/v1`.
    pub base_url: Url,
    /// Sent to that host and to no other.
    pub token: SecretString,
}

/// A prediction to create.
#[derive(Clone)]
pub struct Create {
    /// `owner/name`.
    pub model: String,
    /// For community models: 64 hex digits.
    pub version: Option<String>,
    /// The model's input, an object.
    pub input: Value,
    /// Where to report, with our id in it.
    pub webhook: Option<String>,
    /// When the provider gives up on it by itself; at least 5 s.
    pub cancel_after: Option<Duration>,
}

/// Asked before each request that a call makes beyond its first: the further pages of a list, the further tries of a read. The first one
/// is the caller's to ask for.
pub trait FurtherReads: Send + Sync + Debug {
    /// Ready when one more may be made. `Err` says how long none may be; then the call ends, and none is made.
    fn one_more(&self) -> BoxFuture<'_, Result<(), Duration>>;
}

/// The client.
#[derive(Debug, Clone)]
pub struct Replicate {
    http: Client,
    config: ReplicateConfig,
    further: Option<Arc<dyn FurtherReads>>,
}

impl Replicate {
    /// A client for one account.
    pub fn new(config: ReplicateConfig) -> Result<Self, ProviderError> {
        Self::with_timeout(config, CALL_TIMEOUT)
    }

    /// A client whose calls may take this long instead of [`CALL_TIMEOUT`].
    pub fn with_timeout(config: ReplicateConfig, timeout: Duration) -> Result<Self, ProviderError> {
        const DOING: &str = "set up the client";
        if !matches!(config.base_url.scheme(), "http" | "https") {
            return Err(ProviderError::refused(
                DOING,
                "bad_base_url",
                "REPLICATE_BASE_URL is not an HTTP address",
            ));
        }
        let http =
            api_client(timeout).map_err(|error| ProviderError::transport(DOING, Effect::None, error))?;
        Ok(Self { http, config, further: None })
    }

    /// Asks before each request beyond the first of a call; else only the rests between them hold them back.
    #[must_use]
    pub fn asking(mut self, further: Arc<dyn FurtherReads>) -> Self {
        self.further = Some(further);
        self
    }

    /// Creates a prediction. Sent once: after [`Verdict::Unknown`] it may exist.
    pub async fn create(&self, create: &Create) -> Result<Prediction, ProviderError> {
        const DOING: &str = "create a prediction";
        let Value::Object(input) = &create.input else {
            return Err(ProviderError::refused(DOING, "bad_request", "the input is not an object"));
        };
        let body = CreatePrediction {
            version: create.version.clone(),
            input: input.clone(),
            webhook: create.webhook.clone(),
            webhook_events_filter: create
                .webhook
                .as_ref()
                .map(|_| vec![WebhookEvent::Start, WebhookEvent::Completed]),
        };
        let url = match &create.version {
            Some(_) => self.url(&["predictions"]),
            None => self.url(&["models"]).join_path(create.model.split('/')).join_path(["predictions"]),
        };
        let mut request = self.request(Method::POST, url.0).json(&body);
        if let Some(after) = create.cancel_after {
            request = request.header(CANCEL_AFTER, format!("{}s", after.as_secs().max(5)));
        }
        call(request, DOING, Effect::Creates).await
    }

    /// The prediction as it stands.
    pub async fn get(&self, id: &str) -> Result<Prediction, ProviderError> {
        self.read("read a prediction", self.url(&["predictions", id]).0).await
    }

    /// All predictions of the account created in the time, newest first, every page.
    pub async fn list(
        &self,
        created_after: Option<DateTime<Utc>>,
        created_before: Option<DateTime<Utc>>,
    ) -> Result<Vec<Prediction>, ProviderError> {
        match self.list_pages(created_after, created_before, MOST_PAGES).await? {
            (found, true) => Ok(found),
            // A list that is cut off proves nothing about what is not in it.
            (_, false) => Err(ProviderError::refused(
                "list predictions",
                "too_long",
                format!("the list has more than {MOST_PAGES} pages"),
            )),
        }
    }

    /// The same, newest first, but at most so many pages of 100; says whether that was all.
    pub async fn list_pages(
        &self,
        created_after: Option<DateTime<Utc>>,
        created_before: Option<DateTime<Utc>>,
        most_pages: usize,
    ) -> Result<(Vec<Prediction>, bool), ProviderError> {
        const DOING: &str = "list predictions";
        let mut url = self.url(&["predictions"]).0;
        for (name, at) in [("created_after", created_after), ("created_before", created_before)] {
            if let Some(at) = at {
                url.query_pairs_mut().append_pair(name, &at.to_rfc3339_opts(SecondsFormat::Micros, true));
            }
        }
        let mut found = Vec::new();
        for page in 0..most_pages {
            if page > 0 {
                self.one_more().await.map_err(|rest| ProviderError::not_now(DOING, rest))?;
            }
            let page: Page<Prediction> = self.read(DOING, url).await?;
            found.extend(page.results);
            let Some(next) = page.next else { return Ok((found, true)) };
            url = self.own(&next).ok_or_else(|| {
                ProviderError::refused(
                    DOING,
                    "foreign_link",
                    "the list goes on at another host; the token stays here",
                )
            })?;
        }
        Ok((found, false))
    }

    /// Asks the provider to stop. Repeating it is harmless; what became of it is for [`Self::get`] to say.
    pub async fn cancel(&self, id: &str) -> Result<Prediction, ProviderError> {
        let request = self.request(Method::POST, self.url(&["predictions", id, "cancel"]).0);
        call(request, "cancel a prediction", Effect::None).await
    }

    /// Keeps a file at the provider for a day; `urls.get` goes into an input. At most 100 MB.
    pub async fn upload_file(
        &self,
        name: &str,
        content_type: &str,
        bytes: bytes::Bytes,
    ) -> Result<FileObject, ProviderError> {
        const DOING: &str = "upload a file";
        let part = reqwest::multipart::Part::stream(bytes)
            .file_name(name.to_owned())
            .mime_str(content_type)
            .map_err(|error| ProviderError::transport(DOING, Effect::None, error))?;
        let form = reqwest::multipart::Form::new().part("content", part);
        let request = self.request(Method::POST, self.url(&["files"]).0).timeout(UPLOAD_TIMEOUT);
        call(request.multipart(form), DOING, Effect::None).await
    }

    /// The secret that the account's webhooks are signed with.
    pub async fn webhook_secret(&self) -> Result<SecretString, ProviderError> {
        let secret: WebhookSecret =
            self.read("read the webhook secret", self.url(&["webhooks", "default", "secret"]).0).await?;
        Ok(SecretString::from(secret.key))
    }

    /// Whose token it is; costs nothing.
    pub async fn account(&self) -> Result<Account, ProviderError> {
        self.read("read the account", self.url(&["account"]).0).await
    }

    async fn read<T: DeserializeOwned>(&self, operation: &'static str, url: Url) -> Result<T, ProviderError> {
        let mut rests = READ_RESTS.iter();
        loop {
            let error = match call(self.request(Method::GET, url.clone()), operation, Effect::None).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            // A throttled read waits as long as it was told to, which is the caller's business.
            let passing = matches!(error.verdict(), Verdict::RetryAfter(_)) && error.status() != Some(429);
            match rests.next() {
                Some(rest) if passing => tokio::time::sleep(rest.mul_f64(0.5 + rand::random::<f64>())).await,
                _ => return Err(error),
            }
            if self.one_more().await.is_err() {
                return Err(error);
            }
        }
    }

    async fn one_more(&self) -> Result<(), Duration> {
        match &self.further {
            Some(further) => further.one_more().await,
            None => Ok(()),
        }
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.http.request(method, url).bearer_auth(self.config.token.expose_secret())
    }

    fn url(&self, segments: &[&str]) -> ApiUrl {
        ApiUrl(self.config.base_url.clone()).join_path(segments.iter().copied())
    }

    /// A link the provider gave, if it leads back to it.
    fn own(&self, link: &str) -> Option<Url> {
        let url = self.config.base_url.join(link).ok()?;
        (url.origin() == self.config.base_url.origin()).then_some(url)
    }
}

struct ApiUrl(Url);

impl ApiUrl {
    /// Adds path segments, escaped.
    fn join_path<'a>(mut self, segments: impl IntoIterator<Item = &'a str>) -> Self {
        if let Ok(mut path) = self.0.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        self
    }
}

async fn call<T: DeserializeOwned>(
    request: RequestBuilder,
    operation: &'static str,
    effect: Effect,
) -> Result<T, ProviderError> {
    let mut answer =
        request.send().await.map_err(|error| ProviderError::transport(operation, effect, error))?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut body = Vec::new();
    let whole = loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MOST_ANSWER => body.extend_from_slice(&chunk),
            Ok(Some(_)) => {
                break Err(ProviderError::unreadable(operation, effect, status, &"it does not end"));
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(ProviderError::transport(operation, effect, error)),
        }
    };
    if !status.is_success() {
        // The status alone decides; a body that broke off only explains less.
        return Err(ProviderError::answer(operation, effect, status, &headers, &body));
    }
    whole?;
    serde_json::from_slice(&body)
        .map_err(|error| ProviderError::unreadable(operation, effect, status, &error))
}
