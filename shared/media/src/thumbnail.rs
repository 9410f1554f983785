//! Small JPEG pictures of films and photos.

use crate::args;
use crate::error::MediaError;
use crate::ffmpeg::Ffmpeg;
use crate::image::MAX_PIXELS_ARG;
use crate::probe::input;
use crate::stitch::seconds;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

const ONE_FRAME: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(60);

/// How a picture is fitted into a box. It is never cropped and never enlarged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Black bars fill the box; without, the picture is as small as it gets.
    pub padded: bool,
}

impl Ffmpeg {
    /// Writes a JPEG of what `from` shows `at` this time (at its middle when it is shorter); of a photo, the
    /// photo.
    ///
    /// # Errors
    /// [`MediaError::Unusable`] when there is no picture or it does not decode.
    pub async fn thumbnail(&self, from: &Path, at: Duration, fit: Fit, out: &Path) -> Result<(), MediaError> {
        let probe = self.probe(from).await?;
        if probe.video.is_none() {
            return Err(MediaError::unusable(from, "it has no picture"));
        }
        let length = probe.video_duration();
        // A photo has the length of one frame, in which there is nothing to seek.
        let middle = if length < ONE_FRAME { Duration::ZERO } else { length / 2 };
        let at = if at < length && length >= ONE_FRAME { at } else { middle };
        let Fit { width, height, padded } = fit;
        let pad = if padded { format!(",pad={width}:{height}:(ow-iw)/2:(oh-ih)/2") } else { String::new() };
        let filter = format!(
            "scale='min({width},iw)':'min({height},ih)':force_original_aspect_ratio=decrease,setsar=1{pad},format=yuvj420p"
        );
        let mut argv: Vec<OsString> = vec![];
        if !at.is_zero() {
            argv.extend(args!["-ss", &seconds(at)].map(OsString::from));
        }
        argv.extend(args!["-max_pixels", MAX_PIXELS_ARG].map(OsString::from));
        argv.extend(args!["-protocol_whitelist", "file", "-i", &input(from)].map(OsString::from));
        argv.extend(
            args!["-map", "0:v:0", "-frames:v", "1", "-vf", &filter, "-q:v", "3"].map(OsString::from),
        );
        argv.extend(args!["-strict", "unofficial", "-f", "mjpeg", &input(out)].map(OsString::from));
        let ran = self.doing("thumbnail").run(&argv, TIMEOUT).await;
        ran.map_err(|source| MediaError::reading("take a picture of", from, source))?;
        // A seek past the last frame writes nothing and calls it success.
        let written = tokio::fs::metadata(out).await.map(|meta| meta.len()).unwrap_or_default();
        if written == 0 {
            return Err(MediaError::unusable(from, format!("it shows nothing at {at:?}")));
        }
        Ok(())
    }
}
