//! The soundtrack: stretches of music put end to end under a video of a given length.

use crate::args;
use crate::error::MediaError;
use crate::ffmpeg::Ffmpeg;
use crate::probe::input;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(300);
/// Overlap of two stretches: long enough to hide the seam, short enough not to be heard as one.
const CROSSFADE: Duration = Duration::from_millis(250);
/// Loudness of the result (EBU R128), as streaming services ask for.
const LOUDNESS: &str = "loudnorm=I=-16:TP=-1.5:LRA=11";

/// A stretch of music.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The file; a continuation may begin with some of the stretch before.
    pub path: PathBuf,
    /// How much of its end belongs under the video.
    pub wanted: Duration,
}

/// Writes an AAC file of exactly `total`: the last `wanted` of each segment, crossfaded, faded in and
/// out over `fade`, normalised in loudness, and silence where the music ends before the video.
///
/// # Errors
/// A segment cannot be read, or FFmpeg fails.
pub async fn soundtrack(
    ffmpeg: &Ffmpeg,
    segments: &[Segment],
    total: Duration,
    fade: Duration,
    out: &Path,
) -> Result<(), MediaError> {
    if segments.is_empty() || total.is_zero() {
        return Err(MediaError::BadRequest {
            operation: "make a soundtrack",
            why: "there is no music, or no time".into(),
        });
    }
    let mut lengths = Vec::with_capacity(segments.len());
    let mut command: Vec<OsString> = Vec::new();
    for segment in segments {
        let probe = ffmpeg.probe(&segment.path).await?;
        if probe.audio.is_none() {
            return Err(MediaError::unusable(&segment.path, "it holds no sound"));
        }
        lengths.push(probe.duration);
        command.extend([OsString::from("-i"), input(&segment.path)]);
    }
    let wanted: Vec<Duration> = segments.iter().map(|segment| segment.wanted).collect();
    let graph = graph(&lengths, &wanted, total, fade);
    command.extend(args!["-filter_complex", &graph, "-map", "[out]"].iter().map(OsString::from));
    command.extend(encode().map(OsString::from));
    command.push(out.into());
    ffmpeg
        .run(&command, TIMEOUT)
        .await
        .map_err(|source| MediaError::tool("write the soundtrack", out, source))
}

/// Writes an AAC file of silence.
///
/// # Errors
/// FFmpeg fails.
pub async fn silence(ffmpeg: &Ffmpeg, total: Duration, out: &Path) -> Result<(), MediaError> {
    let length = seconds(total);
    let mut command: Vec<OsString> = args!["-f", "lavfi", "-t", &length, "-i", "anullsrc=r=48000:cl=stereo"]
        .iter()
        .map(OsString::from)
        .collect();
    command.extend(encode().map(OsString::from));
    command.push(out.into());
    ffmpeg.run(&command, TIMEOUT).await.map_err(|source| MediaError::tool("write silence", out, source))
}

fn encode() -> [&'static str; 10] {
    ["-c:a", "aac", "-b:a", "160k", "-ar", "48000", "-ac", "2", "-movflags", "+faststart"]
}

fn seconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}

/// The filter graph: pure, so that its arithmetic can be looked at.
fn graph(lengths: &[Duration], wanted: &[Duration], total: Duration, fade: Duration) -> String {
    let mut graph = String::new();
    let mut music = Duration::ZERO;
    let mut joined = String::from("s0");
    for (index, (length, wanted)) in lengths.iter().zip(wanted).enumerate() {
        // All but the first bring what the crossfade will eat, as far as there is any.
        let overlap = if index == 0 { Duration::ZERO } else { CROSSFADE };
        let take = (*wanted + overlap).min(*length);
        let from = seconds(length.saturating_sub(take));
        let _ = write!(
            graph,
            "[{index}:a]atrim=start={from},asetpts=PTS-STARTPTS,\
             aformat=sample_fmts=fltp:sample_rates=48000:channel_layouts=stereo[s{index}];"
        );
        music += take.saturating_sub(overlap);
        if index > 0 {
            let d = seconds(overlap.min(take));
            let _ = write!(graph, "[{joined}][s{index}]acrossfade=d={d}:c1=tri:c2=tri[j{index}];");
            joined = format!("j{index}");
        }
    }
    let end = music.min(total);
    let fade = fade.min(end / 2);
    let _ = write!(
        graph,
        "[{joined}]atrim=end={end},afade=t=in:d={fade},afade=t=out:st={out}:d={fade},\
         aformat=channel_layouts=stereo,{LOUDNESS},aresample=48000,apad=whole_dur={total},atrim=end={total}[out]",
        end = seconds(end),
        out = seconds(end.saturating_sub(fade)),
        fade = seconds(fade),
        total = seconds(total),
    );
    graph
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn the_end_of_each_stretch_is_taken() {
        // 5 s came for 4 s wanted: 1 s of the stretch before leads in.
        let graph = graph(&[S(4), S(5)], &[S(4), S(4)], S(8), S(1));
        assert!(graph.starts_with("[0:a]atrim=start=0.000,"), "{graph}");
        assert!(graph.contains("[1:a]atrim=start=0.750,"), "{graph}");
        assert!(graph.contains("acrossfade=d=0.250"), "{graph}");
        assert!(graph.contains("afade=t=out:st=7.000:d=1.000"), "{graph}");
    }

    #[test]
    fn music_that_ends_early_fades_before_the_silence() {
        let graph = graph(&[S(4)], &[S(4)], S(16), S(2));
        assert!(graph.contains("afade=t=out:st=2.000:d=2.000"), "{graph}");
        assert!(graph.ends_with("apad=whole_dur=16.000,atrim=end=16.000[out]"), "{graph}");
    }
}
