//! How much memory API and workers take while a film is made and a large file goes in and out.
//!
//! Needs a running system (`spool dev`): it sees HTTP and, for the figures, `/proc`.

use clap::Args;
use futures::StreamExt;
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Client, Response};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

use crate::figures::BoxError;

type Outcome<T> = Result<T, BoxError>;

/// A piece of the large file on its way out.
const PIECE: usize = 64 * 1024;

/// Memory of a running system.
#[derive(Debug, Args)]
pub(crate) struct Memory {
    /// Base address of the API.
    #[arg(long)]
    api: String,
    /// An API key with write scope.
    #[arg(long, env = "SPOOL_KEY")]
    key: String,
    /// Process ids to watch.
    #[arg(long, value_delimiter = ',', required = true)]
    pids: Vec<u32>,
    /// Folder with photos.
    #[arg(long, default_value = "examples/lodge")]
    photos: PathBuf,
    /// Size of the file that goes in and out, in megabytes.
    #[arg(long, default_value_t = 200)]
    megabytes: usize,
}

impl Memory {
    /// Makes a film of four scenes and moves a large file meanwhile, then prints each process's peak.
    pub(crate) async fn run(self) -> Outcome<()> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(600)).build()?;
        let api = Api { http, base: self.api.clone(), key: self.key.clone() };
        let client = api.post("/api/v3/clients", json!({"name": "Memory"})).await?;
        let client = client["data"]["id"].as_str().ok_or("no client id")?.to_owned();
        let campaign = api.post("/api/v3/campaigns", json!({"name": "Memory", "client_id": client})).await?;
        let campaign = campaign["data"]["id"].as_str().ok_or("no campaign id")?.to_owned();
        for entry in std::fs::read_dir(&self.photos)? {
            let path = entry?.path();
            if path.extension().is_some_and(|kind| kind == "jpg") {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let part = Part::bytes(std::fs::read(&path)?).file_name(name).mime_str("image/jpeg")?;
                api.upload(&campaign, part).await?;
            }
        }
        let job = json!({"campaign_id": campaign, "clip_duration": 4, "num_pairs": 4, "video_model": "veo-3.1-fast"});
        let job =
            api.post("/api/v3/jobs/from-image-pairs", job).await?["job_id"].as_i64().ok_or("no job id")?;
        api.post(&format!("/api/v3/jobs/{job}/approve"), json!({})).await?;
        let (film, file) = tokio::join!(api.finished(job), api.there_and_back(&campaign, self.megabytes));
        println!("job {job} {}, {} MB up, {} MB down", film?, self.megabytes, file? / 1_000_000);
        for pid in self.pids {
            let (name, peak) = peak_of(pid)?;
            println!("{name:<16} pid {pid:<8} peak {:.0} MB", peak as f64 / 1024.0);
        }
        Ok(())
    }
}

struct Api {
    http: Client,
    base: String,
    key: String,
}

impl Api {
    async fn post(&self, path: &str, body: Value) -> Outcome<Value> {
        let request =
            self.http.post(format!("{}{path}", self.base)).header("x-api-key", &self.key).json(&body);
        Ok(checked(request.send().await?).await?.json().await?)
    }

    async fn upload(&self, campaign: &str, part: Part) -> Outcome<String> {
        let form = Form::new().text("campaign_id", campaign.to_owned()).part("file", part);
        let request = self.http.post(format!("{}/api/v3/assets", self.base)).header("x-api-key", &self.key);
        let asset: Value = checked(request.multipart(form).send().await?).await?.json().await?;
        Ok(asset["data"]["id"].as_str().ok_or("no asset id")?.to_owned())
    }

    async fn finished(&self, job: i64) -> Outcome<String> {
        loop {
            let request =
                self.http.get(format!("{}/api/v3/jobs/{job}", self.base)).header("x-api-key", &self.key);
            let now: Value = checked(request.send().await?).await?.json().await?;
            let status = now["status"].as_str().unwrap_or_default().to_owned();
            if matches!(status.as_str(), "completed" | "failed" | "canceled") {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Uploads a WAV of this size and reads it back; returns the bytes that came.
    async fn there_and_back(&self, campaign: &str, megabytes: usize) -> Outcome<u64> {
        let size = megabytes * 1_000_000;
        let pieces = futures::stream::iter(wav(size)).map(Ok::<_, std::io::Error>);
        let part = Part::stream_with_length(Body::wrap_stream(pieces), size as u64).file_name("long.wav");
        let asset = self.upload(campaign, part.mime_str("audio/wav")?).await?;
        let request =
            self.http.get(format!("{}/api/v3/assets/{asset}/data", self.base)).header("x-api-key", &self.key);
        let mut body = checked(request.send().await?).await?.bytes_stream();
        let mut bytes = 0;
        while let Some(piece) = body.next().await {
            bytes += piece?.len() as u64;
        }
        Ok(bytes)
    }
}

/// A WAV file of exactly `size` bytes, piece by piece: a saw tooth, 48 kHz, stereo, 16 bits.
fn wav(size: usize) -> impl Iterator<Item = Vec<u8>> + Send {
    let data = (size - 44) as u32;
    let mut header = Vec::with_capacity(44);
    header.extend(b"RIFF");
    header.extend((data + 36).to_le_bytes());
    header.extend(b"WAVEfmt ");
    header.extend(
        [16_u32, 0x0002_0001, 48_000, 192_000, 0x0010_0004].iter().flat_map(|word| word.to_le_bytes()),
    );
    header.extend(b"data");
    header.extend(data.to_le_bytes());
    let samples = (0..data as usize).step_by(PIECE).map(move |from| {
        let length = PIECE.min(data as usize - from);
        (from..from + length).map(|at| (at / 64) as u8).collect()
    });
    std::iter::once(header).chain(samples)
}

async fn checked(answer: Response) -> Outcome<Response> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    let (status, path) = (answer.status(), answer.url().path().to_owned());
    Err(format!("{path} answered {status}: {}", answer.text().await?).into())
}

/// Name and peak resident memory (kB) of a process.
fn peak_of(pid: u32) -> Outcome<(String, u64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    let peak = field("VmHWM:").and_then(|text| text.split(' ').next()?.parse().ok()).ok_or("no VmHWM")?;
    Ok((field("Name:").unwrap_or_default(), peak))
}
