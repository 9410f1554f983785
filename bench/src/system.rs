//! A running system from outside: its API, and its processes in `/proc`.

use crate::contestant::TICKS;
use crate::figures::BoxError;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

type Outcome<T> = Result<T, BoxError>;

/// Its API, with a key.
pub(crate) struct Api {
    pub(crate) http: Client,
    pub(crate) base: String,
    pub(crate) key: String,
}

impl Api {
    pub(crate) async fn get(&self, path: &str) -> Outcome<Value> {
        self.json(self.http.get(format!("{}{path}", self.base))).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Outcome<Value> {
        self.json(self.http.post(format!("{}{path}", self.base)).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Outcome<Value> {
        self.json(self.http.put(format!("{}{path}", self.base)).json(&body)).await
    }

    async fn json(&self, request: RequestBuilder) -> Outcome<Value> {
        Ok(checked(request.header("x-api-key", &self.key).send().await?).await?.json().await?)
    }

    /// A client and a campaign with the photos of a folder; the campaign's id.
    pub(crate) async fn campaign(&self, name: &str, photos: &Path) -> Outcome<String> {
        self.campaign_of(name, photos, usize::MAX).await
    }

    /// The same with at most so many photos.
    pub(crate) async fn campaign_of(&self, name: &str, photos: &Path, most: usize) -> Outcome<String> {
        let client = self.post("/api/v3/clients", json!({"name": name})).await?;
        let client = client["data"]["id"].as_str().ok_or("no client id")?.to_owned();
        let campaign = self.post("/api/v3/campaigns", json!({"name": name, "client_id": client})).await?;
        let campaign = campaign["data"]["id"].as_str().ok_or("no campaign id")?.to_owned();
        let mut paths: Vec<_> = std::fs::read_dir(photos)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        paths.retain(|path| path.extension().is_some_and(|kind| kind == "jpg"));
        paths.sort();
        for path in paths.iter().take(most) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let part = Part::bytes(std::fs::read(path)?).file_name(name).mime_str("image/jpeg")?;
            self.upload(&campaign, part).await?;
        }
        Ok(campaign)
    }

    pub(crate) async fn upload(&self, campaign: &str, part: Part) -> Outcome<String> {
        let form = Form::new().text("campaign_id", campaign.to_owned()).part("file", part);
        let asset = self.json(self.http.post(format!("{}/api/v3/assets", self.base)).multipart(form)).await?;
        Ok(asset["data"]["id"].as_str().ok_or("no asset id")?.to_owned())
    }

    /// Waits for the end of a job and returns how it ended.
    pub(crate) async fn finished(&self, job: i64) -> Outcome<String> {
        loop {
            let now = self.get(&format!("/api/v3/jobs/{job}")).await?;
            let status = now["status"].as_str().unwrap_or_default().to_owned();
            if matches!(status.as_str(), "completed" | "failed" | "canceled") {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
}

/// An answer that says success.
pub(crate) async fn checked(answer: Response) -> Outcome<Response> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    let (status, path) = (answer.status(), answer.url().path().to_owned());
    Err(format!("{path} answered {status}: {}", answer.text().await?).into())
}

/// A process of it.
pub(crate) struct Process(pub(crate) u32);

impl Process {
    pub(crate) fn name(&self) -> Outcome<String> {
        self.status("Name:")
    }

    /// Most resident memory that it has had.
    pub(crate) fn peak_mb(&self) -> Outcome<f64> {
        self.megabytes("VmHWM:")
    }

    pub(crate) fn resident_mb(&self) -> Outcome<f64> {
        self.megabytes("VmRSS:")
    }

    /// User and system time, without that of children.
    pub(crate) fn cpu_seconds(&self) -> Outcome<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let ticks = after_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
        Ok(ticks.sum::<f64>() / TICKS)
    }

    fn megabytes(&self, field: &str) -> Outcome<f64> {
        let kilobytes: f64 = self.status(field)?.split(' ').next().unwrap_or_default().parse()?;
        Ok(kilobytes / 1024.0)
    }

    fn status(&self, field: &str) -> Outcome<String> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        Ok(line.ok_or_else(|| format!("process {} has no {field}", self.0))?.trim().to_owned())
    }
}
