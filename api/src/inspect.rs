//! What a file really is: magic bytes, size, header, and a decode as proof, in that order, so that each step only meets
//! what the one before let through. Pictures and sound are decoded whole, films by every packet and their keyframes.
//! FFmpeg sees no file whose first bytes are not of a kind we take.

use std::path::{Path, PathBuf};
use std::time::Duration;

use spool_media::error::MediaError;
use spool_media::kind::{self, Detected, MediaKind};
use spool_media::probe::Probe;
use spool_media::scratch::Received;
use spool_media::thumbnail::Fit;
use tempfile::TempDir;

use crate::error::{ApiError, Code};
use crate::limits::{LONGEST_MEDIA_SECONDS, MOST_IMAGE_BYTES, MOST_VIDEO_PIXELS};
use crate::state::AppState;

/// Thumbnails fit into this.
const THUMBNAIL: Fit = Fit { width: 320, height: 240, padded: false };
/// The moment of a film that stands for it; the middle of a shorter one.
const THUMBNAIL_AT: Duration = Duration::from_secs(1);

/// A file that passed.
#[derive(Debug)]
pub struct Inspected {
    pub kind: MediaKind,
    pub content_type: &'static str,
    pub width: Option<u32>,
    pub height: Option<u32>,
    /// Of moving pictures and sound.
    pub duration: Option<Duration>,
    /// A small JPEG; sound has none.
    pub thumbnail: Option<Thumbnail>,
}

/// A file in a folder that vanishes with it.
#[derive(Debug)]
pub struct Thumbnail {
    pub path: PathBuf,
    _folder: TempDir,
}

pub async fn inspect(state: &AppState, received: &Received) -> Result<Inspected, ApiError> {
    if received.bytes() == 0 {
        return Err(bad_media("the file is empty"));
    }
    let found = kind::detect(received.head()).ok_or_else(|| {
        bad_media("the file is of a kind not taken here: send a picture, a video or a sound")
    })?;
    match found.kind {
        MediaKind::Image => picture(state, received, found).await,
        MediaKind::Video | MediaKind::Audio => recording(state, received, found).await,
    }
}

/// A few kilobytes can claim gigapixels: the claim is read before anything decodes it.
async fn picture(state: &AppState, received: &Received, found: Detected) -> Result<Inspected, ApiError> {
    if received.bytes() > MOST_IMAGE_BYTES {
        return Err(ApiError::too_large(format!("a picture may have at most {} MB", MOST_IMAGE_BYTES >> 20)));
    }
    let image = state.ffmpeg.check_image(received.path()).await.map_err(refusal)?;
    Ok(Inspected {
        kind: found.kind,
        content_type: found.content_type,
        width: Some(image.width),
        height: Some(image.height),
        duration: None,
        thumbnail: Some(thumbnail(state, received.path()).await?),
    })
}

async fn recording(state: &AppState, received: &Received, found: Detected) -> Result<Inspected, ApiError> {
    let path = received.path();
    let probe = state.ffmpeg.probe(path).await.map_err(refusal)?;
    check_probe(found.kind, &probe)?;
    // Truncated files pass a probe with their full length; reading every packet finds out.
    state.ffmpeg.packet_scan(path).await.map_err(refusal)?;
    // A whole container may hold anything.
    state.ffmpeg.intake_scan(path, probe.duration).await.map_err(refusal)?;
    let video = probe.video.as_ref().filter(|_| found.kind == MediaKind::Video);
    let thumbnail = match video {
        None => None,
        Some(_) => Some(thumbnail(state, path).await?),
    };
    Ok(Inspected {
        kind: found.kind,
        content_type: found.content_type,
        width: video.map(|video| video.width),
        height: video.map(|video| video.height),
        duration: Some(probe.duration),
        thumbnail,
    })
}

fn check_probe(kind: MediaKind, probe: &Probe) -> Result<(), ApiError> {
    let longest = Duration::from_secs(LONGEST_MEDIA_SECONDS);
    let wrong = match (kind, &probe.video, &probe.audio) {
        (MediaKind::Video, None, _) => Some("the file holds no picture".to_owned()),
        (MediaKind::Audio, _, None) => Some("the file holds no sound".to_owned()),
        (MediaKind::Video, Some(video), _)
            if u64::from(video.width) * u64::from(video.height) > MOST_VIDEO_PIXELS =>
        {
            Some(format!("the video is {}x{}; at most 8K is taken", video.width, video.height))
        }
        _ if probe.duration > longest => {
            Some(format!("the file is longer than {} minutes", LONGEST_MEDIA_SECONDS / 60))
        }
        _ if probe.duration.is_zero() => Some("the file has no length".to_owned()),
        _ => None,
    };
    wrong.map_or(Ok(()), |why| Err(bad_media(why)))
}

async fn thumbnail(state: &AppState, media: &Path) -> Result<Thumbnail, ApiError> {
    let folder = state.store.scratch().folder().map_err(ApiError::internal)?;
    let path = folder.path().join("thumbnail.jpg");
    state.ffmpeg.thumbnail(media, THUMBNAIL_AT, THUMBNAIL, &path).await.map_err(refusal)?;
    Ok(Thumbnail { path, _folder: folder })
}

/// The file's fault is 400; FFmpeg's is ours.
fn refusal(error: MediaError) -> ApiError {
    if error.is_files_fault() {
        // FFmpeg's own words may hold our paths: they go to the log.
        bad_media("the file cannot be decoded: it is broken, cut off, or has too many pixels")
            .with_cause(error)
    } else {
        ApiError::internal(error)
    }
}

/// 400 with one sentence: the file is not one we can use.
fn bad_media(why: impl Into<String>) -> ApiError {
    ApiError::bad_request(Code::BadMedia, why)
}

#[cfg(test)]
mod tests {
    use spool_media::probe::{AudioStream, Color, Ratio, VideoStream};

    use super::*;

    fn film(width: u32, height: u32, seconds: u64) -> Probe {
        let video = VideoStream {
            codec: "h264".to_owned(),
            profile: String::new(),
            level: 40,
            width,
            height,
            pix_fmt: "yuv420p".to_owned(),
            frame_rate: Ratio { num: 24, den: 1 },
            time_base: Ratio { num: 1, den: 24 },
            sar: Ratio::ONE,
            color: Color::default(),
            reordered: false,
            duration: None,
        };
        Probe {
            format: "mp4".to_owned(),
            duration: Duration::from_secs(seconds),
            video: Some(video),
            audio: None,
        }
    }

    fn sound(seconds: u64) -> Probe {
        let audio = AudioStream {
            codec: "aac".to_owned(),
            profile: String::new(),
            sample_rate: 48_000,
            channels: 2,
            duration: None,
        };
        Probe { video: None, audio: Some(audio), ..film(1, 1, seconds) }
    }

    #[test]
    fn what_claims_too_much_is_refused_before_it_is_read() {
        use MediaKind::{Audio, Video};
        for (kind, probe, why) in [
            (Video, film(7680, 4320, 3600), None),
            (Video, film(7681, 4320, 10), Some("8K")),
            (Video, film(60_000, 60_000, 10), Some("8K")),
            (Video, film(320, 180, 3601), Some("longer than 60 minutes")),
            (Video, film(320, 180, 0), Some("no length")),
            (Video, sound(10), Some("no picture")),
            (Audio, sound(3600), None),
            (Audio, sound(3601), Some("longer than 60 minutes")),
            (Audio, film(320, 180, 10), Some("no sound")),
        ] {
            let said = check_probe(kind, &probe).err().map(|error| error.detail().to_owned());
            match (why, said) {
                (None, None) => {}
                (Some(why), Some(said)) => assert!(said.contains(why), "{said}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
