//! Looking at a photo before trusting it: its size first, its pixels only when there are not too many.

use crate::args;
use crate::error::MediaError;
use crate::ffmpeg::Ffmpeg;
use crate::kind::MAX_PIXELS;
use crate::probe::input;
use std::path::Path;
use std::time::Duration;

/// [`MAX_PIXELS`] as FFmpeg's decoders take it: they refuse larger pictures before they reserve memory.
pub(crate) const MAX_PIXELS_ARG: &str = "100000000";
const TIMEOUT: Duration = Duration::from_secs(60);

/// A photo that decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageInfo {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

impl Ffmpeg {
    /// Checks a still picture: its size, at most [`MAX_PIXELS`], and that it decodes.
    ///
    /// # Errors
    /// [`MediaError::Unusable`] says what is wrong with it.
    pub async fn check_image(&self, path: &Path) -> Result<ImageInfo, MediaError> {
        let probe = self.probe(path).await?;
        let Some(video) = &probe.video else { return Err(MediaError::unusable(path, "it has no picture")) };
        let (width, height) = (video.width, video.height);
        let pixels = u64::from(width) * u64::from(height);
        if pixels > MAX_PIXELS {
            let why = format!("{width}x{height} are more than {} million pixels", MAX_PIXELS / 1_000_000);
            return Err(MediaError::unusable(path, why));
        }
        let file = input(path);
        let argv = args![
            "-xerror",
            "-err_detect",
            "explode",
            "-max_pixels",
            MAX_PIXELS_ARG,
            "-protocol_whitelist",
            "file",
            "-i",
            &file,
            "-map",
            "0:v:0",
            "-frames:v",
            "1",
            "-f",
            "null",
            "-"
        ];
        let ran = self.doing("check_image").run(&argv, TIMEOUT).await;
        ran.map_err(|source| MediaError::reading("decode", path, source))?;
        Ok(ImageInfo { width, height })
    }
}
