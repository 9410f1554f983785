//! The way of one demonstration: client, campaign, photos, job, approval, watching, download.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::api::{Api, ApiError, Job};
use super::photos::{self, Photo};
use super::progress::Progress;

/// Seconds of each shot.
const CLIP_SECONDS: u32 = 4;
const POLL: Duration = Duration::from_millis(500);

/// No video came of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProduceError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("job {job} ended as {status}: {reason}")]
    Ended { job: i64, status: String, reason: String },
    #[error("job {job} is not finished after {} s; it stands at {percent} %, {stage}", limit.as_secs())]
    TooLong { job: i64, limit: Duration, percent: u64, stage: String },
}

/// A video on disk.
#[derive(Debug)]
pub(crate) struct Produced {
    pub(crate) job: i64,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
    /// The job as it ended.
    pub(crate) last: Job,
}

/// Makes a video from photos and writes it to `out`, or to a file named after the job in `folder`.
pub(crate) async fn produce(
    api: &Api,
    photos: &[Photo],
    out: Option<&Path>,
    folder: &Path,
    limit: Duration,
) -> Result<Produced, ProduceError> {
    let client = api.create_client("Demo lodge").await?;
    let campaign = api.create_campaign(&client, "First video").await?;
    let pairs = photos::pairs(photos);
    let used = &photos[..2 * pairs];
    for photo in used {
        api.upload(&campaign, photo).await?;
    }
    println!("  {} photos uploaded", used.len());
    let (job, scenes) = api.create_job(&campaign, pairs, CLIP_SECONDS).await?;
    let since = Instant::now();
    let planned = api.job(job).await?;
    println!(
        "  job {job}, {scenes} scenes of {CLIP_SECONDS} s, {} estimated: approved",
        dollars(&planned, "estimated")
    );
    api.approve(job).await?;

    let last = watch(api, job, since, limit).await?;
    let path =
        out.map_or_else(|| folder.join(format!("{}-{job}.mp4", file_name(&last.video_name))), Path::to_owned);
    let bytes = api.download(job, &path).await?;
    Ok(Produced { job, path, bytes, took: since.elapsed(), last })
}

async fn watch(api: &Api, job: i64, since: Instant, limit: Duration) -> Result<Job, ProduceError> {
    let mut progress = Progress::new();
    loop {
        let now = api.job(job).await?;
        let scenes = api.scenes(job).await?;
        progress.show(&now, &scenes);
        match now.status.as_str() {
            "completed" => {
                progress.finish();
                return Ok(now);
            }
            "failed" | "canceled" => {
                progress.finish();
                let reason = now.error.unwrap_or_else(|| "no reason given".to_owned());
                return Err(ProduceError::Ended { job, status: now.status, reason });
            }
            _ if since.elapsed() > limit => {
                progress.finish();
                let stage = now.current_stage.unwrap_or(now.status);
                return Err(ProduceError::TooLong { job, limit, percent: now.progress_percentage, stage });
            }
            _ => tokio::time::sleep(POLL).await,
        }
    }
}

/// A sum of the job's `costs`, which are in dollars.
pub(crate) fn dollars(job: &Job, which: &str) -> String {
    job.costs[which].as_f64().map_or_else(|| "an unknown sum".to_owned(), |sum| format!("${sum:.2}"))
}

/// A name for a file, whatever people call their videos.
fn file_name(video_name: &str) -> String {
    let kept = |letter: char| if letter.is_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    let name: String = video_name.chars().map(kept).collect();
    let name = name.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    if name.is_empty() { "video".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn any_video_name_gives_a_plain_file_name() {
        let table =
            [("First Video #1", "first-video-1"), ("../../etc/passwd", "etc-passwd"), ("  ", "video")];
        for (name, expected) in table {
            assert_eq!(file_name(name), expected);
        }
    }
}
