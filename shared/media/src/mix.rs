//! Putting a soundtrack under a film. The pictures are copied; the sound is exactly as long as they are.

use crate::args;
use crate::error::MediaError;
use crate::ffmpeg::{Ffmpeg, work_timeout};
use crate::music::LOUDNESS;
use crate::probe::{Probe, input};
use crate::stitch::seconds;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

impl Ffmpeg {
    /// Writes `video` with `soundtrack` into `out` (MP4, index in front; AAC, 48 kHz, stereo). With
    /// `keep_native_audio` the film's own sound stays on top and the music ducks under it.
    ///
    /// # Errors
    /// [`MediaError::Unusable`] names the input without picture or sound; [`MediaError::NotAsAsked`] when
    /// picture and sound of the result differ in length.
    pub async fn mix(
        &self,
        video: &Path,
        soundtrack: &Path,
        keep_native_audio: bool,
        out: &Path,
    ) -> Result<Duration, MediaError> {
        let film = self.probe(video).await?;
        let music = self.probe(soundtrack).await?;
        if film.video.is_none() {
            return Err(MediaError::unusable(video, "it has no picture"));
        }
        if music.audio.is_none() {
            return Err(MediaError::unusable(soundtrack, "it has no sound"));
        }
        let length = film.video_duration();
        let native = keep_native_audio && film.audio.is_some();
        let mut argv = args!["-protocol_whitelist", "file", "-i", &input(video)].map(OsString::from).to_vec();
        argv.extend(args!["-protocol_whitelist", "file", "-i", &input(soundtrack)].map(OsString::from));
        argv.extend(args!["-map", "0:v:0"].map(OsString::from));
        if !native && fits(&music, length) {
            argv.extend(args!["-map", "1:a:0", "-c", "copy"].map(OsString::from));
        } else {
            let filter = filter(native, length);
            argv.extend(
                args!["-filter_complex", &filter, "-map", "[out]", "-c:v", "copy"].map(OsString::from),
            );
            argv.extend(args!["-c:a", "aac", "-b:a", "192k", "-ar", "48000", "-ac", "2"].map(OsString::from));
        }
        if let Some(timescale) = film.video.as_ref().map(|video| video.time_base.den.to_string()) {
            argv.extend(args!["-video_track_timescale", &timescale].map(OsString::from));
        }
        argv.extend(args!["-movflags", "+faststart", "-f", "mp4", &input(out)].map(OsString::from));
        let ran = self.doing("mix").over(length).run(&argv, work_timeout(length)).await;
        ran.map_err(|source| MediaError::tool("mix sound into", out, source))?;
        let made = self.probe(out).await?;
        let sound = made.audio.as_ref().and_then(|audio| audio.duration).unwrap_or_default();
        let picture = made.video_duration();
        if picture.abs_diff(length) > Duration::from_millis(50)
            || sound.abs_diff(length) > Duration::from_millis(100)
        {
            let why = format!("the film is {length:?} long, its copy {picture:?}, the sound {sound:?}");
            return Err(MediaError::not_as_asked(out, why));
        }
        Ok(picture)
    }
}

/// Whether a soundtrack can be taken as it is.
fn fits(music: &Probe, length: Duration) -> bool {
    music.audio.as_ref().is_some_and(|audio| {
        let form = (audio.codec.as_str(), audio.sample_rate, audio.channels);
        let late = audio.duration.unwrap_or(music.duration).saturating_sub(length);
        let early = length.saturating_sub(audio.duration.unwrap_or(music.duration));
        form == ("aac", 48_000, 2) && late <= Duration::from_millis(25) && early <= Duration::from_millis(50)
    })
}

fn filter(native: bool, length: Duration) -> String {
    let total = seconds(length);
    let whole = format!("apad,atrim=0:{total}[out]");
    if native {
        format!(
            "[1:a:0]aresample=48000,aformat=channel_layouts=stereo,apad,atrim=0:{total},volume=0.35[m];\
             [0:a:0]aresample=48000,aformat=channel_layouts=stereo,apad,atrim=0:{total},asplit[n][sc];\
             [m][sc]sidechaincompress=threshold=0.05:ratio=8:attack=20:release=300[md];\
             [n][md]amix=inputs=2:duration=first:normalize=0,aformat=channel_layouts=stereo,{LOUDNESS},\
             aresample=48000,{whole}"
        )
    } else {
        format!("[1:a:0]aresample=48000,aformat=channel_layouts=stereo,{whole}")
    }
}
