//! What a file really is: magic bytes, size, header, and one full decode as proof, in that order, so that each step only
//! meets what the one before let through. FFmpeg sees no file whose first bytes are not of a kind we take.

use std::path::{Path, PathBuf};
use std::time::Duration;

use spool_media::error::MediaError;
use spool_media::kind::{self, MediaKind};
use spool_media::scratch::Received;
use spool_media::thumbnail;
use spool_media::probe::Probe;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

use crate::error::{ApiError, Code};
use crate::image_header;
use crate::limits::{
    LONGEST_MEDIA_SECONDS, LONGEST_SIDE, MOST_IMAGE_BYTES, MOST_IMAGE_PIXELS, MOST_VIDEO_PIXELS,
};
use crate::state::AppState;

/// How much of the start is read: a JPEG may carry a megabyte of notes before its size.
const HEAD_BYTES: u64 = 2 << 20;
/// For decoding one picture.
const DECODE_TIMEOUT: Duration = Duration::from_secs(60);
/// Thumbnails fit into this.
const THUMBNAIL_SIZE: (u32, u32) = (320, 240);

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
    let found = kind::detect(received.head())
        .ok_or_else(|| bad_media("the file is of a kind not taken here: send a picture, a video or a sound"))?;
    let path = received.path();
    if found.kind == MediaKind::Image {
        check_picture_header(&head(path).await?, received.bytes())?;
    }
    let probe = state.ffmpeg.probe(path).await.map_err(refusal)?;
    check_probe(found.kind, &probe)?;
    match found.kind {
        MediaKind::Image => state.ffmpeg.decode_scan(path, DECODE_TIMEOUT).await.map_err(refusal)?,
        // Truncated files pass a probe with their full length; reading every packet finds out.
        MediaKind::Video | MediaKind::Audio => state.ffmpeg.packet_scan(path).await.map_err(refusal)?,
    }
    let thumbnail = match found.kind {
        MediaKind::Audio => None,
        MediaKind::Image | MediaKind::Video => Some(thumbnail(state, path, found.kind, &probe).await?),
    };
    let picture = probe.video.as_ref().filter(|_| found.kind != MediaKind::Audio);
    Ok(Inspected {
        kind: found.kind,
        content_type: found.content_type,
        width: picture.map(|video| video.width),
        height: picture.map(|video| video.height),
        duration: (found.kind != MediaKind::Image).then_some(probe.duration),
        thumbnail,
    })
}

async fn head(path: &Path) -> Result<Vec<u8>, ApiError> {
    let file = tokio::fs::File::open(path).await.map_err(ApiError::internal)?;
    let mut head = Vec::new();
    file.take(HEAD_BYTES).read_to_end(&mut head).await.map_err(ApiError::internal)?;
    Ok(head)
}

/// Before any decoder sees it: what a picture claims to be is what a decoder would make room for.
fn check_picture_header(head: &[u8], bytes: u64) -> Result<(), ApiError> {
    if bytes > MOST_IMAGE_BYTES {
        return Err(ApiError::too_large(format!("a picture may have at most {} MB", MOST_IMAGE_BYTES >> 20)));
    }
    let (width, height) = image_header::dimensions(head)
        .ok_or_else(|| bad_media("the picture does not say its size: send JPEG, PNG or WebP"))?;
    if width == 0 || height == 0 {
        return Err(bad_media("the picture has no pixels"));
    }
    let pixels = u64::from(width) * u64::from(height);
    if width > LONGEST_SIDE || height > LONGEST_SIDE || pixels > MOST_IMAGE_PIXELS {
        return Err(bad_media(format!(
            "the picture claims {width}x{height} pixels; at most {} megapixels are taken",
            MOST_IMAGE_PIXELS / 1_000_000
        )));
    }
    Ok(())
}

fn check_probe(kind: MediaKind, probe: &Probe) -> Result<(), ApiError> {
    let longest = Duration::from_secs(LONGEST_MEDIA_SECONDS);
    match (kind, &probe.video, &probe.audio) {
        (MediaKind::Image | MediaKind::Video, None, _) => return Err(bad_media("the file holds no picture")),
        (MediaKind::Audio, _, None) => return Err(bad_media("the file holds no sound")),
        _ => {}
    }
    if let Some(video) = probe.video.as_ref().filter(|_| kind == MediaKind::Video)
        && u64::from(video.width) * u64::from(video.height) > MOST_VIDEO_PIXELS
    {
        return Err(bad_media(format!("the video is {}x{}; at most 8K is taken", video.width, video.height)));
    }
    if kind != MediaKind::Image && probe.duration > longest {
        return Err(bad_media(format!("the file is longer than {} minutes", LONGEST_MEDIA_SECONDS / 60)));
    }
    if kind != MediaKind::Image && probe.duration.is_zero() {
        return Err(bad_media("the file has no length"));
    }
    Ok(())
}

/// A frame at one second, or the middle of what is shorter. Of a video it also proves that a frame decodes.
async fn thumbnail(
    state: &AppState,
    media: &Path,
    kind: MediaKind,
    probe: &Probe,
) -> Result<Thumbnail, ApiError> {
    let at = match kind {
        MediaKind::Video => Duration::from_secs(1).min(probe.video_duration() / 2),
        MediaKind::Image | MediaKind::Audio => Duration::ZERO,
    };
    let folder = state.store.scratch().folder().map_err(ApiError::internal)?;
    let path = folder.path().join("thumbnail.jpg");
    let (width, height) = THUMBNAIL_SIZE;
    thumbnail::fitted(&state.ffmpeg, media, at, width, height, &path).await.map_err(refusal)?;
    Ok(Thumbnail { path, _folder: folder })
}

/// The file's fault is 400; FFmpeg's is ours.
fn refusal(error: MediaError) -> ApiError {
    if error.is_files_fault() || matches!(error, MediaError::NotAsAsked { .. }) {
        bad_media("the file is broken or cut off: it cannot be decoded").with_cause(error)
    } else {
        ApiError::internal(error)
    }
}

/// 400 with one sentence: the file is not one we can use.
fn bad_media(why: impl Into<String>) -> ApiError {
    ApiError::bad_request(Code::BadMedia, why)
}
