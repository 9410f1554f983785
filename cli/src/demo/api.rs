//! The few calls of the API that a demonstration needs, as any frontend would make them.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::photos::Photo;

/// One answer takes this long at most; a video is read in pieces, each within the limit.
const READ_LIMIT: Duration = Duration::from_secs(60);
/// How often a call that changes nothing is tried before its failure is shown.
const READ_TRIES: u32 = 5;
const READ_PAUSE: Duration = Duration::from_millis(500);

/// A call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
    #[error("cannot {doing}: no answer from the API")]
    Transport { doing: &'static str, source: reqwest::Error },
    #[error("cannot {doing}: {status}: {sentence}{}", request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default())]
    Refused { doing: &'static str, status: StatusCode, sentence: String, request_id: Option<String> },
    #[error("cannot {doing}: the answer has no {field}")]
    Incomplete { doing: &'static str, field: &'static str },
    #[error("cannot write {}", path.display())]
    Write { path: std::path::PathBuf, source: std::io::Error },
}

/// A caller of one API with one key.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: Client,
    base: String,
    key: SecretString,
}

/// A job as far as a demonstration cares.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Job {
    pub(crate) status: String,
    pub(crate) video_name: String,
    pub(crate) progress_percentage: u64,
    #[serde(default)]
    pub(crate) current_stage: Option<String>,
    #[serde(default)]
    pub(crate) parked: Option<String>,
    #[serde(default)]
    pub(crate) error: Option<String>,
    #[serde(default)]
    pub(crate) costs: Value,
}

/// One scene of a job.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Scene {
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) title: String,
}

impl Api {
    pub(crate) fn new(base: &str, key: SecretString) -> Result<Self, ApiError> {
        // A second provider of TLS in one process is refused; the first one serves.
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(READ_LIMIT)
            .build()
            .map_err(ApiError::Client)?;
        Ok(Self { client, base: base.trim_end_matches('/').to_owned(), key })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/api/v3{path}", self.base);
        self.client.request(method, url).header("x-api-key", self.key.expose_secret())
    }

    /// Makes a client; its id.
    pub(crate) async fn create_client(&self, name: &str) -> Result<String, ApiError> {
        let doing = "create the client";
        let body = self.post("/clients", &json!({"name": name}), doing).await?;
        text(&body["data"]["id"], doing, "data.id")
    }

    /// Makes a campaign; its id.
    pub(crate) async fn create_campaign(&self, client: &str, name: &str) -> Result<String, ApiError> {
        let doing = "create the campaign";
        let campaign = json!({"name": name, "client_id": client, "brief": "A short film from photos."});
        let body = self.post("/campaigns", &campaign, doing).await?;
        text(&body["data"]["id"], doing, "data.id")
    }

    /// Uploads one photo, read from disk in pieces.
    pub(crate) async fn upload(&self, campaign: &str, photo: &Photo) -> Result<(), ApiError> {
        let doing = "upload a photo";
        let file = Part::file(&photo.path)
            .await
            .map_err(|source| ApiError::Write { path: photo.path.clone(), source })?
            .file_name(photo.name.clone());
        let form = Form::new()
            .text("campaign_id", campaign.to_owned())
            .text("type", "image")
            .text("name", photo.name.clone())
            .part("file", file);
        self.send(self.request(Method::POST, "/assets").multipart(form), doing).await?;
        Ok(())
    }

    /// Creates a job that films pairs of photos; its id and scene count.
    pub(crate) async fn create_job(
        &self,
        campaign: &str,
        pairs: usize,
        seconds: u32,
    ) -> Result<(i64, usize), ApiError> {
        let wanted = json!({
            "campaign_id": campaign,
            "num_pairs": pairs,
            "clip_duration": seconds,
            "video_model": "veo-3.1-fast",
        });
        self.order(&wanted).await
    }

    /// Creates a job from photos as it is asked for; its id and scene count.
    pub(crate) async fn order(&self, wanted: &Value) -> Result<(i64, usize), ApiError> {
        let doing = "create the job";
        let body = self.post("/jobs/from-image-pairs", wanted, doing).await?;
        let id = body["job_id"].as_i64().ok_or(ApiError::Incomplete { doing, field: "job_id" })?;
        let scenes =
            body["scene_count"].as_u64().ok_or(ApiError::Incomplete { doing, field: "scene_count" })?;
        Ok((id, usize::try_from(scenes).unwrap_or(usize::MAX)))
    }

    /// Sets the hard limit of the day for everything, and no soft one.
    pub(crate) async fn limit_day(&self, micros: i64) -> Result<(), ApiError> {
        let budget =
            json!({"scope": "all", "period": "day", "soft_limit_micros": null, "hard_limit_micros": micros});
        let request = self.request(Method::PUT, "/admin/budgets").json(&budget);
        self.send(request, "set the budget of the day").await?;
        Ok(())
    }

    pub(crate) async fn approve(&self, job: i64) -> Result<(), ApiError> {
        self.post(&format!("/jobs/{job}/approve"), &json!({}), "approve the job").await?;
        Ok(())
    }

    pub(crate) async fn job(&self, job: i64) -> Result<Job, ApiError> {
        self.read(&format!("/jobs/{job}"), "read the job").await
    }

    pub(crate) async fn scenes(&self, job: i64) -> Result<Vec<Scene>, ApiError> {
        #[derive(Deserialize)]
        struct Scenes {
            scenes: Vec<Scene>,
        }
        Ok(self.read::<Scenes>(&format!("/jobs/{job}/scenes"), "read the scenes").await?.scenes)
    }

    /// Writes the finished video to a file; its bytes.
    pub(crate) async fn download(&self, job: i64, path: &Path) -> Result<u64, ApiError> {
        let doing = "download the video";
        let transport = |source| ApiError::Transport { doing, source };
        let failed = |source| ApiError::Write { path: path.to_owned(), source };
        let answer =
            self.request(Method::GET, &format!("/videos/{job}/combined")).send().await.map_err(transport)?;
        let mut pieces = accepted(answer, doing).await?.bytes_stream();
        let mut file = tokio::fs::File::create(path).await.map_err(failed)?;
        let mut bytes = 0;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(transport)?;
            bytes += piece.len() as u64;
            file.write_all(&piece).await.map_err(failed)?;
        }
        file.sync_all().await.map_err(failed)?;
        Ok(bytes)
    }

    async fn post(&self, path: &str, body: &Value, doing: &'static str) -> Result<Value, ApiError> {
        self.send(self.request(Method::POST, path).json(body), doing).await
    }

    /// A read may be tried again: an API that is being restarted is away for a moment.
    async fn read<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        doing: &'static str,
    ) -> Result<T, ApiError> {
        let mut tries = 1;
        loop {
            let answer = self.request(Method::GET, path).send().await;
            let error = match answer {
                Ok(answer) if answer.status().is_server_error() => accepted(answer, doing).await.err(),
                Ok(answer) => {
                    let answer = accepted(answer, doing).await?;
                    return answer.json().await.map_err(|source| ApiError::Transport { doing, source });
                }
                Err(source) => Some(ApiError::Transport { doing, source }),
            };
            if let Some(error) = error
                && tries >= READ_TRIES
            {
                return Err(error);
            }
            tries += 1;
            tokio::time::sleep(READ_PAUSE).await;
        }
    }

    async fn send(&self, request: RequestBuilder, doing: &'static str) -> Result<Value, ApiError> {
        let answer = request.send().await.map_err(|source| ApiError::Transport { doing, source })?;
        accepted(answer, doing).await?.json().await.map_err(|source| ApiError::Transport { doing, source })
    }
}

/// The answer, unless it is a refusal, whose sentence becomes the error.
async fn accepted(answer: Response, doing: &'static str) -> Result<Response, ApiError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let problem: Value = answer.json().await.unwrap_or_default();
    let sentence = problem["error"].as_str().or(problem["detail"].as_str()).unwrap_or("no reason given");
    let request_id = problem["request_id"].as_str().map(str::to_owned);
    Err(ApiError::Refused { doing, status, sentence: sentence.to_owned(), request_id })
}

fn text(value: &Value, doing: &'static str, field: &'static str) -> Result<String, ApiError> {
    value.as_str().map(str::to_owned).ok_or(ApiError::Incomplete { doing, field })
}
