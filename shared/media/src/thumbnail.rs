//! Stills for people to click on.

use crate::args;
use crate::error::MediaError;
use crate::ffmpeg::Ffmpeg;
use crate::probe::input;
use std::path::Path;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);

/// Writes the frame at `at` (zero for images) as a JPEG of exactly `width` x `height`, on black where
/// the shapes differ.
///
/// # Errors
/// The file cannot be decoded there, or FFmpeg fails.
pub async fn padded(
    ffmpeg: &Ffmpeg,
    media: &Path,
    at: Duration,
    width: u32,
    height: u32,
    out: &Path,
) -> Result<(), MediaError> {
    let fit = format!(
        "scale={width}:{height}:force_original_aspect_ratio=decrease,pad={width}:{height}:(ow-iw)/2:(oh-ih)/2:black,setsar=1"
    );
    still(ffmpeg, media, at, &fit, out).await
}

/// Writes the frame at `at` (zero for images) as a JPEG that fits into `width` x `height`.
///
/// # Errors
/// The file cannot be decoded there, or FFmpeg fails.
pub async fn fitted(
    ffmpeg: &Ffmpeg,
    media: &Path,
    at: Duration,
    width: u32,
    height: u32,
    out: &Path,
) -> Result<(), MediaError> {
    let fit =
        format!("scale='min({width},iw)':'min({height},ih)':force_original_aspect_ratio=decrease,setsar=1");
    still(ffmpeg, media, at, &fit, out).await
}

async fn still(ffmpeg: &Ffmpeg, media: &Path, at: Duration, fit: &str, out: &Path) -> Result<(), MediaError> {
    let (file, at) = (input(media), format!("{:.3}", at.as_secs_f64()));
    // JPEG is full range; saying so keeps FFmpeg from guessing and from warning.
    let filter = format!("{fit},format=yuvj420p");
    let command =
        args!["-ss", &at, "-i", &file, "-frames:v", "1", "-vf", &filter, "-q:v", "2", "-f", "mjpeg", out];
    ffmpeg
        .run(&command, TIMEOUT)
        .await
        .map_err(|source| MediaError::reading("take a still of", media, source))?;
    if tokio::fs::metadata(out).await.is_ok_and(|file| file.len() > 0) {
        return Ok(());
    }
    Err(MediaError::unusable(media, "there is no picture at that moment"))
}
