//! Whether a finished video is what was asked for: streams, size, length, and every frame decodes.

use crate::error::MediaError;
use crate::ffmpeg::Ffmpeg;
use std::path::Path;
use std::time::Duration;

/// A full decode takes about a quarter of a second of CPU per second of 1080p.
const DECODE_TIMEOUT: Duration = Duration::from_secs(300);
/// How far picture and sound may differ in length: one AAC frame is 21 ms, players hide more.
const STREAM_DRIFT: Duration = Duration::from_millis(100);

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Length of the picture.
    pub duration: Duration,
    /// How far the length may be off.
    pub tolerance: Duration,
    /// Whether it must have sound.
    pub audio: bool,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Length of the picture.
    pub duration: Duration,
}

/// Checks a finished MP4.
///
/// # Errors
/// [`MediaError::NotAsAsked`] names the first difference; [`MediaError::Unusable`] a frame that does not decode.
pub async fn check(ffmpeg: &Ffmpeg, path: &Path, expect: &Expect) -> Result<Verified, MediaError> {
    let differs = |why: String| Err(MediaError::not_as_asked(path, why));
    let probe = ffmpeg.probe(path).await?;
    let Some(video) = &probe.video else { return differs("it has no picture".into()) };
    if video.codec != "h264" {
        return differs(format!("the picture is {}, not h264", video.codec));
    }
    if (video.width, video.height) != (expect.width, expect.height) {
        let asked = format!("{}x{}", expect.width, expect.height);
        return differs(format!("it is {}x{}, asked for {asked}", video.width, video.height));
    }
    let duration = probe.video_duration();
    if duration.abs_diff(expect.duration) > expect.tolerance {
        return differs(format!("it lasts {duration:.3?}, asked for {:.3?}", expect.duration));
    }
    match &probe.audio {
        None if expect.audio => return differs("it has no sound".into()),
        Some(audio) if audio.codec != "aac" => {
            return differs(format!("the sound is {}, not aac", audio.codec));
        }
        Some(audio) => {
            let sound = audio.duration.unwrap_or(duration);
            if sound.abs_diff(duration) > STREAM_DRIFT {
                return differs(format!("the sound lasts {sound:.3?}, the picture {duration:.3?}"));
            }
        }
        None => {}
    }
    ffmpeg.decode_scan(path, DECODE_TIMEOUT).await?;
    Ok(Verified { duration })
}
