//! How much memory API and workers take while a film is made and large files go in and out; and that the API streams them: its
//! peak at a large one is that at a small one.
//!
//! Needs a running system (`spool dev`): it sees HTTP and, for the figures, `/proc`.

use clap::Args;
use futures::StreamExt;
use reqwest::multipart::Part;
use reqwest::{Body, Client};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

use crate::figures::BoxError;
use crate::system::{Api, Process, checked};

type Outcome<T> = Result<T, BoxError>;

/// A piece of a large file on its way out.
const PIECE: usize = 64 * 1024;
/// Size of the smaller file, in megabytes.
const SMALL: usize = 20;
/// What streams does not grow with the file: the API's peak may differ by so much, in megabytes, for other reasons.
const MOST_GROWTH: f64 = 20.0;

/// Memory of a running system.
#[derive(Debug, Args)]
pub(crate) struct Memory {
    /// Base address of the API.
    #[arg(long)]
    api: String,
    /// An API key with write scope.
    #[arg(long, env = "SPOOL_KEY")]
    key: String,
    /// Process ids to watch; the API's is one of them.
    #[arg(long, value_delimiter = ',', required = true)]
    pids: Vec<u32>,
    /// Folder with photos.
    #[arg(long, default_value = "examples/lodge")]
    photos: PathBuf,
    /// Size of the larger file that goes in and out, in megabytes.
    #[arg(long, default_value_t = 200, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(100..=500))]
    megabytes: usize,
}

impl Memory {
    /// Makes a film of four scenes and moves a small file meanwhile, then a large one, and prints each process's peak after both.
    /// Fails when that of the API has grown.
    pub(crate) async fn run(self) -> Outcome<()> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(600)).build()?;
        let api = Api { http, base: self.api.clone(), key: self.key.clone() };
        let campaign = api.campaign("Memory", &self.photos).await?;
        let job = json!({"campaign_id": campaign, "clip_duration": 4, "num_pairs": 4, "video_model": "veo-3.1-fast"});
        let job =
            api.post("/api/v3/jobs/from-image-pairs", job).await?["job_id"].as_i64().ok_or("no job id")?;
        api.post(&format!("/api/v3/jobs/{job}/approve"), json!({})).await?;
        let (film, file) = tokio::join!(api.finished(job), there_and_back(&api, &campaign, SMALL));
        println!("job {job} {}, {SMALL} MB up, {} MB down", film?, file? / 1_000_000);
        let small = self.peaks()?;
        let file = there_and_back(&api, &campaign, self.megabytes).await?;
        println!("{} MB up, {} MB down", self.megabytes, file / 1_000_000);
        let large = self.peaks()?;
        let mut growth = None;
        for ((name, pid, small), (_, _, large)) in small.into_iter().zip(large) {
            println!("{name:<16} pid {pid:<8} peak {small:.0} MB, then {large:.0} MB");
            if name == "spool-api" {
                growth = Some(large - small);
            }
        }
        match growth {
            None => Err("none of the processes is spool-api: name it with --pids".into()),
            Some(growth) if growth > MOST_GROWTH => {
                let from = self.megabytes - SMALL;
                let why = format!(
                    "the API took {growth:.0} MB more for {from} MB more in and out; {MOST_GROWTH:.0} are allowed"
                );
                Err(why.into())
            }
            Some(_) => Ok(()),
        }
    }

    /// Name, id and peak so far of each process.
    fn peaks(&self) -> Outcome<Vec<(String, u32, f64)>> {
        let peak = |pid: &u32| Ok((Process(*pid).name()?, *pid, Process(*pid).peak_mb()?));
        self.pids.iter().map(peak).collect()
    }
}

/// Uploads a WAV of this size and reads it back; returns the bytes that came.
async fn there_and_back(api: &Api, campaign: &str, megabytes: usize) -> Outcome<u64> {
    let size = megabytes * 1_000_000;
    let pieces = futures::stream::iter(wav(size)).map(Ok::<_, std::io::Error>);
    let part = Part::stream_with_length(Body::wrap_stream(pieces), size as u64).file_name("long.wav");
    let asset = api.upload(campaign, part.mime_str("audio/wav")?).await?;
    let request =
        api.http.get(format!("{}/api/v3/assets/{asset}/data", api.base)).header("x-api-key", &api.key);
    let mut body = checked(request.send().await?).await?.bytes_stream();
    let mut bytes = 0;
    while let Some(piece) = body.next().await {
        bytes += piece?.len() as u64;
    }
    Ok(bytes)
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
