//! Small films and sounds to work on.

use spool_media::args;
use spool_media::ffmpeg::Ffmpeg;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);

pub(crate) fn ffmpeg() -> Ffmpeg {
    Ffmpeg::discover(2).expect("FFmpeg is installed")
}

pub(crate) fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

pub(crate) fn assert_near(got: Duration, wanted: Duration, tolerance: f64) {
    assert!(got.abs_diff(wanted) <= secs(tolerance), "{got:?} is not {wanted:?}");
}

/// A film to be made.
#[derive(Clone, Copy)]
pub(crate) struct Film<'a> {
    pub(crate) color: &'a str,
    pub(crate) size: &'a str,
    pub(crate) fps: &'a str,
    pub(crate) timescale: &'a str,
    pub(crate) seconds: f64,
    pub(crate) preset: &'a str,
    pub(crate) sound: bool,
}

pub(crate) const PLAIN: Film<'static> = Film {
    color: "red",
    size: "320x180",
    fps: "24",
    timescale: "12288",
    seconds: 2.0,
    preset: "veryfast",
    sound: false,
};

impl Film<'_> {
    /// A plain colour with a moving pattern in a corner, so that frames differ and references reorder.
    pub(crate) async fn make(&self, folder: &Path, name: &str) -> PathBuf {
        let out = folder.join(name);
        let Film { color, size, fps, seconds, .. } = self;
        let filter = format!(
            "color=c={color}:s={size}:r={fps}:d={seconds}[a];testsrc2=s=64x48:r={fps}:d={seconds}[b];\
             [a][b]overlay=x='10+t*20':y=10:shortest=1,format=yuv420p"
        );
        let length = seconds.to_string();
        let mut argv = args!["-f", "lavfi", "-i", &filter].to_vec();
        if self.sound {
            argv.extend(args!["-f", "lavfi", "-i", "sine=frequency=330:sample_rate=48000"]);
            argv.extend(args!["-c:a", "aac", "-ac", "2", "-t", &length]);
        }
        argv.extend(args!["-c:v", "libx264", "-preset", self.preset, "-pix_fmt", "yuv420p"]);
        argv.extend(args!["-video_track_timescale", self.timescale, "-movflags", "+faststart", &out]);
        ffmpeg().run(&argv, TIMEOUT).await.expect("the film is made");
        out
    }
}

/// A tone of a frequency.
pub(crate) async fn tone(folder: &Path, name: &str, frequency: u32, seconds: f64) -> PathBuf {
    let out = folder.join(name);
    let source = format!("sine=frequency={frequency}:sample_rate=32000:duration={seconds}");
    ffmpeg().run(&args!["-f", "lavfi", "-i", &source, &out], TIMEOUT).await.expect("the tone is made");
    out
}

/// The colour of the middle of the frame at a time, as `red`, `green` or `blue`.
pub(crate) async fn color_at(film: &Path, at: f64) -> &'static str {
    let out = tempfile::Builder::new().suffix(".rgb").tempfile().expect("a file");
    let at = at.to_string();
    let filter = "crop=32:32:iw/2:ih-40,scale=1:1,format=rgb24";
    let argv = args!["-ss", &at, "-i", film, "-frames:v", "1", "-vf", filter, "-f", "rawvideo", out.path()];
    ffmpeg().run(&argv, TIMEOUT).await.expect("a frame");
    let rgb = std::fs::read(out.path()).expect("three bytes");
    let strongest = (0..3).max_by_key(|&n| rgb[n]).expect("three");
    ["red", "green", "blue"][strongest]
}

/// The mean loudness of a part of a file in decibels, by counting samples.
pub(crate) async fn level(path: &Path, from: f64, seconds: f64) -> f64 {
    let out = tempfile::Builder::new().suffix(".raw").tempfile().expect("a file");
    let (from, seconds) = (from.to_string(), seconds.to_string());
    let argv = args!["-ss", &from, "-t", &seconds, "-i", path, "-vn", "-ac", "1", "-f", "s16le", out.path()];
    ffmpeg().run(&argv, TIMEOUT).await.expect("samples");
    let raw = std::fs::read(out.path()).expect("samples");
    let samples: Vec<f64> =
        raw.chunks_exact(2).map(|two| f64::from(i16::from_le_bytes([two[0], two[1]])) / 32768.0).collect();
    let power = samples.iter().map(|s| s * s).sum::<f64>() / samples.len().max(1) as f64;
    10.0 * power.max(1e-12).log10()
}
