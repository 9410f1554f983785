//! The last look at a film before anyone is told that it is done.

use crate::error::MediaError;
use crate::ffmpeg::{Ffmpeg, work_timeout};
use std::path::Path;
use std::time::Duration;

/// What a film must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expect {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Of the picture, and of the sound where there must be one.
    pub duration: Duration,
    /// How far the lengths may be off.
    pub tolerance: Duration,
    /// Whether there must be sound.
    pub audio: bool,
}

/// A film that is what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The length of the picture.
    pub duration: Duration,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Bytes of the file.
    pub bytes: u64,
    /// Whether it has sound.
    pub audio: bool,
}

impl Ffmpeg {
    /// Checks streams, codecs (H.264 and AAC), size and lengths, then decodes every frame.
    ///
    /// # Errors
    /// [`MediaError::NotAsAsked`] says what differs; [`MediaError::Unusable`] when it does not decode.
    pub async fn check(&self, path: &Path, expect: &Expect) -> Result<Verified, MediaError> {
        let probe = self.probe(path).await?;
        let refuse = |why: String| Err(MediaError::not_as_asked(path, why));
        let Some(video) = &probe.video else { return refuse("it has no picture".into()) };
        if video.codec != "h264" || video.pix_fmt != "yuv420p" {
            return refuse(format!("its picture is {} {}, not h264 yuv420p", video.codec, video.pix_fmt));
        }
        if (video.width, video.height) != (expect.width, expect.height) {
            let (width, height) = (expect.width, expect.height);
            return refuse(format!("it is {}x{}, not {width}x{height}", video.width, video.height));
        }
        let length = probe.video_duration();
        if length.abs_diff(expect.duration) > expect.tolerance {
            return refuse(format!("its picture is {length:?} long, not {:?}", expect.duration));
        }
        match &probe.audio {
            None if expect.audio => return refuse("it has no sound".into()),
            Some(audio) if audio.codec != "aac" => {
                return refuse(format!("its sound is {}, not aac", audio.codec));
            }
            Some(audio) => {
                let sound = audio.duration.unwrap_or(probe.duration);
                if sound.abs_diff(expect.duration) > expect.tolerance {
                    return refuse(format!("its sound is {sound:?} long, not {:?}", expect.duration));
                }
            }
            None => {}
        }
        self.over(length).decode_scan(path, work_timeout(length)).await?;
        let file =
            tokio::fs::metadata(path).await.map_err(|source| MediaError::disk("look at", path, source))?;
        Ok(Verified {
            duration: length,
            width: video.width,
            height: video.height,
            bytes: file.len(),
            audio: probe.audio.is_some(),
        })
    }
}
