//! Putting a soundtrack under a video. The picture is copied, never encoded again.

use crate::args;
use crate::error::MediaError;
use crate::ffmpeg::Ffmpeg;
use crate::probe::input;
use std::path::Path;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(300);
/// The clips' own sound stays in front: the music is lowered, and lower still while something is heard.
const DUCKED: &str = "[1:a]volume=0.35[music];[0:a]aformat=channel_layouts=stereo,aresample=48000,asplit[own][key];\
    [music][key]sidechaincompress=threshold=0.05:ratio=8:attack=20:release=300[low];\
    [own][low]amix=inputs=2:duration=first:normalize=0,aresample=48000[out]";

/// Writes `video`'s picture with `soundtrack` under it, exactly as long as the picture. With
/// `keep_native_audio`, and where the video has sound, the music is ducked under that.
///
/// # Errors
/// One of the files cannot be read, or FFmpeg fails.
pub async fn mix(
    ffmpeg: &Ffmpeg,
    video: &Path,
    soundtrack: &Path,
    keep_native_audio: bool,
    out: &Path,
) -> Result<(), MediaError> {
    let probe = ffmpeg.probe(video).await?;
    if probe.video.is_none() {
        return Err(MediaError::unusable(video, "it holds no picture"));
    }
    let length = format!("{:.3}", probe.video_duration().as_secs_f64());
    let (picture, music) = (input(video), input(soundtrack));
    let finish = ["-t", &length, "-movflags", "+faststart"];
    let done = if keep_native_audio && probe.audio.is_some() {
        let head =
            args!["-i", &picture, "-i", &music, "-filter_complex", DUCKED, "-map", "0:v", "-map", "[out]"];
        let codec = args!["-c:v", "copy", "-c:a", "aac", "-b:a", "160k"];
        let tail = finish.map(std::ffi::OsStr::new);
        ffmpeg.run(&[&head[..], &codec, &tail, &args![out]].concat(), TIMEOUT).await
    } else {
        let head = args!["-i", &picture, "-i", &music, "-map", "0:v", "-map", "1:a", "-c", "copy"];
        let tail = finish.map(std::ffi::OsStr::new);
        ffmpeg.run(&[&head[..], &tail, &args![out]].concat(), TIMEOUT).await
    };
    done.map_err(|source| MediaError::tool("write the mixed video", out, source))
}
