//! What a media file says about itself, and whether its bytes keep that promise.
//!
//! A truncated MP4 whose index stands at the front passes ffprobe with its full duration; only reading every
//! packet finds out. Whoever takes a file from outside runs both. That packets hold what they should only decoding tells.

use crate::args;
use crate::error::MediaError;
use crate::ffmpeg::Ffmpeg;
use crate::image::MAX_PIXELS_ARG;
use serde::Deserialize;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::time::Duration;

const PROBE_TIMEOUT: Duration = Duration::from_secs(60);
const SCAN_TIMEOUT: Duration = Duration::from_secs(120);

/// A positive fraction as FFmpeg writes it: a frame rate, a time base, an aspect ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ratio {
    /// Numerator.
    pub num: u32,
    /// Denominator, never zero.
    pub den: u32,
}

impl Ratio {
    /// One to one.
    pub const ONE: Self = Self { num: 1, den: 1 };

    /// The value as a floating point number.
    pub fn value(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    fn parse(text: &str) -> Option<Self> {
        let (num, den) = text.split_once(['/', ':'])?;
        let ratio = Self { num: num.parse().ok()?, den: den.parse().ok()? };
        (ratio.num > 0 && ratio.den > 0).then_some(ratio)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

/// How colours are coded; empty where the file does not say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Color {
    /// `tv` or `pc`.
    pub range: String,
    /// The matrix, such as `bt709`.
    pub space: String,
    /// The transfer curve.
    pub transfer: String,
    /// The primaries.
    pub primaries: String,
}

/// The first moving (or still) picture of a file. Cover art of a song does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoStream {
    /// Codec, such as `h264`.
    pub codec: String,
    /// Profile, such as `High`; empty when the codec has none.
    pub profile: String,
    /// Level times ten, such as 40; negative when unknown.
    pub level: i32,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Pixel format, such as `yuv420p`.
    pub pix_fmt: String,
    /// Frames per second.
    pub frame_rate: Ratio,
    /// Unit of its timestamps in seconds.
    pub time_base: Ratio,
    /// Sample aspect ratio; 1/1 where the file does not say.
    pub sar: Ratio,
    /// Colour coding.
    pub color: Color,
    /// Whether frames are stored in another order than they are shown (B-frames).
    pub reordered: bool,
    /// Its own length, where the container says it.
    pub duration: Option<Duration>,
}

/// The first sound of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioStream {
    /// Codec, such as `aac`.
    pub codec: String,
    /// Profile, such as `LC`; empty when the codec has none.
    pub profile: String,
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u32,
    /// Its own length, where the container says it.
    pub duration: Option<Duration>,
}

/// What ffprobe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Container names, comma separated, such as `mov,mp4,m4a,3gp,3g2,mj2`.
    pub format: String,
    /// Length of the whole; zero for a still image.
    pub duration: Duration,
    /// The picture.
    pub video: Option<VideoStream>,
    /// The sound.
    pub audio: Option<AudioStream>,
}

impl Probe {
    /// The length of the picture, or of the whole where the container gives no length per stream.
    pub fn video_duration(&self) -> Duration {
        self.video.as_ref().and_then(|video| video.duration).unwrap_or(self.duration)
    }
}

/// `path` as FFmpeg must see it: a local file, whatever its name looks like.
pub(crate) fn input(path: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(path);
    url
}

impl Ffmpeg {
    /// Reads the header of a local file.
    ///
    /// # Errors
    /// [`MediaError::Unusable`] when it is no media file.
    pub async fn probe(&self, path: &Path) -> Result<Probe, MediaError> {
        let file = input(path);
        let printed = self
            .doing("probe")
            .ffprobe(
                &args![
                    "-max_pixels",
                    MAX_PIXELS_ARG,
                    "-protocol_whitelist",
                    "file",
                    "-print_format",
                    "json",
                    "-show_format",
                    "-show_streams",
                    "-i",
                    &file
                ],
                PROBE_TIMEOUT,
            )
            .await
            .map_err(|source| MediaError::reading("probe", path, source))?;
        parse(&printed).map_err(|why| MediaError::unusable(path, why))
    }

    /// Reads every packet without decoding: cheap, and finds truncated files.
    ///
    /// # Errors
    /// [`MediaError::Unusable`] when a packet is missing or damaged.
    pub async fn packet_scan(&self, path: &Path) -> Result<(), MediaError> {
        let file = input(path);
        self.doing("scan")
            .run(
                &args![
                    "-xerror",
                    "-protocol_whitelist",
                    "file",
                    "-i",
                    &file,
                    "-map",
                    "0",
                    "-c",
                    "copy",
                    "-f",
                    "null",
                    "-"
                ],
                SCAN_TIMEOUT,
            )
            .await
            .map_err(|source| MediaError::reading("read every packet of", path, source))
    }

    /// Decodes the sound whole and the keyframes of the picture (all frames where the codec cannot tell them apart): finds a
    /// whole container with something else in it, for a fraction of what playing it costs. Frames in between may be damaged.
    ///
    /// # Errors
    /// [`MediaError::Unusable`] when something does not decode, or there is nothing to decode.
    pub async fn intake_scan(&self, path: &Path, length: Duration) -> Result<(), MediaError> {
        let file = input(path);
        self.doing("decode")
            .over(length)
            .run(
                &args![
                    "-xerror",
                    "-abort_on",
                    "empty_output",
                    "-skip_frame:v",
                    "nokey",
                    "-max_pixels",
                    MAX_PIXELS_ARG,
                    "-protocol_whitelist",
                    "file",
                    "-i",
                    &file,
                    // Not the cover of a song.
                    "-map",
                    "0:V?",
                    "-map",
                    "0:a?",
                    "-f",
                    "null",
                    "-"
                ],
                SCAN_TIMEOUT + length,
            )
            .await
            .map_err(|source| MediaError::reading("decode", path, source))
    }

    /// Decodes everything and looks at nothing: costs about as much as playing it.
    ///
    /// # Errors
    /// [`MediaError::Unusable`] when a frame does not decode.
    pub async fn decode_scan(&self, path: &Path, timeout: Duration) -> Result<(), MediaError> {
        let file = input(path);
        self.doing("decode")
            .run(
                &args![
                    "-xerror",
                    "-err_detect",
                    "explode",
                    "-protocol_whitelist",
                    "file",
                    "-i",
                    &file,
                    "-map",
                    "0:v?",
                    "-map",
                    "0:a?",
                    "-f",
                    "null",
                    "-"
                ],
                timeout,
            )
            .await
            .map_err(|source| MediaError::reading("decode", path, source))
    }
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    format: Format,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Format {
    format_name: String,
    duration: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Stream {
    codec_type: String,
    codec_name: String,
    profile: String,
    level: i32,
    width: u32,
    height: u32,
    pix_fmt: String,
    r_frame_rate: String,
    time_base: String,
    sample_aspect_ratio: String,
    color_range: String,
    color_space: String,
    color_transfer: String,
    color_primaries: String,
    has_b_frames: u32,
    duration: Option<String>,
    sample_rate: String,
    channels: u32,
    disposition: Disposition,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Disposition {
    attached_pic: u8,
}

fn seconds(text: Option<&String>) -> Option<Duration> {
    text.and_then(|text| text.parse().ok()).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

/// Reads what ffprobe printed. Pure, so that odd files can be told by table.
fn parse(json: &[u8]) -> Result<Probe, String> {
    let document: Document =
        serde_json::from_slice(json).map_err(|error| format!("ffprobe's answer does not parse: {error}"))?;
    let first = |kind: &str| {
        document.streams.iter().find(|s| s.codec_type == kind && s.disposition.attached_pic == 0)
    };
    let video = first("video").map(|stream| {
        if stream.width == 0 || stream.height == 0 {
            return Err("its picture has no size or too many pixels".to_owned());
        }
        Ok(VideoStream {
            codec: stream.codec_name.clone(),
            profile: stream.profile.clone(),
            level: stream.level,
            width: stream.width,
            height: stream.height,
            pix_fmt: stream.pix_fmt.clone(),
            frame_rate: Ratio::parse(&stream.r_frame_rate).unwrap_or(Ratio::ONE),
            time_base: Ratio::parse(&stream.time_base).unwrap_or(Ratio::ONE),
            sar: Ratio::parse(&stream.sample_aspect_ratio).unwrap_or(Ratio::ONE),
            color: Color {
                range: stream.color_range.clone(),
                space: stream.color_space.clone(),
                transfer: stream.color_transfer.clone(),
                primaries: stream.color_primaries.clone(),
            },
            reordered: stream.has_b_frames > 0,
            duration: seconds(stream.duration.as_ref()),
        })
    });
    let audio = first("audio").map(|stream| AudioStream {
        codec: stream.codec_name.clone(),
        profile: stream.profile.clone(),
        sample_rate: stream.sample_rate.parse().unwrap_or(0),
        channels: stream.channels,
        duration: seconds(stream.duration.as_ref()),
    });
    let video = video.transpose()?;
    if video.is_none() && audio.is_none() {
        return Err("it has neither picture nor sound".to_owned());
    }
    Ok(Probe {
        format: document.format.format_name,
        duration: seconds(document.format.duration.as_ref()).unwrap_or_default(),
        video,
        audio,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_read_as_ffmpeg_writes_them() {
        assert_eq!(Ratio::parse("24000/1001"), Some(Ratio { num: 24000, den: 1001 }));
        assert_eq!(Ratio::parse("1:1"), Some(Ratio::ONE));
        for bad in ["0/0", "0:1", "", "24", "a/b", "-1/2"] {
            assert_eq!(Ratio::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn cover_art_is_no_video() {
        let json = br#"{"streams":[{"codec_type":"video","codec_name":"mjpeg","width":9,"height":9,
            "disposition":{"attached_pic":1}},{"codec_type":"audio","codec_name":"mp3","sample_rate":"44100",
            "channels":2,"duration":"1.5"}],"format":{"format_name":"mp3","duration":"1.5"}}"#;
        let probe = parse(json).expect("it parses");
        assert_eq!(probe.video, None);
        assert_eq!(probe.audio.expect("sound").sample_rate, 44100);
        assert_eq!(probe.duration, Duration::from_millis(1500));
    }

    #[test]
    fn nothing_usable_is_refused() {
        for json in [r"{}", r#"{"streams":[]}"#, "nonsense", r#"{"streams":[{"codec_type":"data"}]}"#] {
            assert!(parse(json.as_bytes()).is_err(), "{json}");
        }
        assert!(parse(br#"{"streams":[{"codec_type":"video","codec_name":"h264"}]}"#).is_err());
    }
}
