//! One soundtrack from generated pieces of music: joined, faded, padded with silence, at an even loudness.

use crate::args;
use crate::error::MediaError;
use crate::ffmpeg::{Ffmpeg, work_timeout};
use crate::probe::input;
use crate::stitch::seconds;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long two pieces overlap. A continuation repeats the end of the piece before it, so this is heard as
/// one.
const OVERLAP: Duration = Duration::from_millis(250);
/// Loudness for the web: integrated -16 LUFS, peaks under -1.5 dB.
pub(crate) const LOUDNESS: &str = "loudnorm=I=-16:TP=-1.5:LRA=11";

/// A piece of generated music.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Where it lies.
    pub path: PathBuf,
    /// How much of its end is new: a continuation carries what it continues in front.
    pub wanted: Duration,
}

impl Ffmpeg {
    /// Makes a soundtrack of exactly `total` into `out` (M4A: AAC, 48 kHz, stereo): the last `wanted` of each
    /// segment, overlapping a little, faded in and out over `fade`, silent where the music ends early.
    ///
    /// # Errors
    /// [`MediaError::Unusable`] names a segment without sound.
    pub async fn soundtrack(
        &self,
        segments: &[Segment],
        total: Duration,
        fade: Duration,
        out: &Path,
    ) -> Result<(), MediaError> {
        let mut takes = Vec::with_capacity(segments.len());
        for segment in segments.iter().filter(|segment| !segment.wanted.is_zero()) {
            let probe = self.probe(&segment.path).await?;
            let Some(audio) = &probe.audio else {
                return Err(MediaError::unusable(&segment.path, "it has no sound"));
            };
            takes.push((&segment.path, segment.wanted, audio.duration.unwrap_or(probe.duration)));
        }
        if takes.is_empty() || total.is_zero() {
            return self.silence(total, out).await;
        }
        let mut argv: Vec<OsString> = vec![];
        for (path, ..) in &takes {
            argv.extend(args!["-protocol_whitelist", "file", "-i", &input(path)].map(OsString::from));
        }
        let lengths: Vec<_> = takes.iter().map(|&(_, wanted, length)| (wanted, length)).collect();
        let filter = filter(&lengths, total, fade);
        argv.extend(args!["-filter_complex", &filter, "-map", "[out]"].map(OsString::from));
        self.write_sound(argv, total, out).await
    }

    /// Writes `total` of silence in the form of a soundtrack.
    ///
    /// # Errors
    /// FFmpeg fails, or `total` is zero.
    pub async fn silence(&self, total: Duration, out: &Path) -> Result<(), MediaError> {
        if total.is_zero() {
            let why = "its length is zero".into();
            return Err(MediaError::BadRequest { operation: "make a soundtrack", why });
        }
        let length = seconds(total);
        let argv = args!["-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo", "-t", &length];
        self.write_sound(argv.map(OsString::from).to_vec(), total, out).await
    }

    async fn write_sound(
        &self,
        mut argv: Vec<OsString>,
        total: Duration,
        out: &Path,
    ) -> Result<(), MediaError> {
        argv.extend(args!["-c:a", "aac", "-b:a", "192k", "-ar", "48000", "-ac", "2"].map(OsString::from));
        argv.extend(args!["-movflags", "+faststart", "-f", "mp4", &input(out)].map(OsString::from));
        let ran = self.doing("soundtrack").over(total).run(&argv, work_timeout(total)).await;
        ran.map_err(|source| MediaError::tool("write the soundtrack", out, source))?;
        let made = self.probe(out).await?;
        if made.duration.abs_diff(total) > Duration::from_millis(100) {
            let why = format!("{total:?} were asked for, it is {:?} long", made.duration);
            return Err(MediaError::not_as_asked(out, why));
        }
        Ok(())
    }
}

/// The filter graph for takes of (wanted, length of the file). Pure.
fn filter(takes: &[(Duration, Duration)], total: Duration, fade: Duration) -> String {
    let shortest = takes.iter().map(|&(wanted, length)| wanted.min(length)).min().unwrap_or_default();
    let overlap = OVERLAP.min(shortest / 2);
    let mut graph = String::new();
    let mut music = Duration::ZERO;
    for (index, &(wanted, length)) in takes.iter().enumerate() {
        // The overlap is taken from in front of what is wanted, so that it costs no length.
        let extra = if index == 0 { Duration::ZERO } else { overlap };
        let take = (wanted + extra).min(length);
        music += take.saturating_sub(extra);
        // Writing to a string cannot fail. Stereo comes before loudnorm: it cannot choose a layout itself.
        write!(
            graph,
            "[{index}:a:0]atrim=start={},asetpts=PTS-STARTPTS,aresample=48000,aformat=channel_layouts=stereo[s{index}];",
            seconds(length.saturating_sub(take))
        )
        .ok();
    }
    let mut last = "s0".to_owned();
    for index in 1..takes.len() {
        let joined = format!("j{index}");
        if overlap.is_zero() {
            write!(graph, "[{last}][s{index}]concat=n=2:v=0:a=1[{joined}];").ok();
        } else {
            write!(graph, "[{last}][s{index}]acrossfade=d={}[{joined}];", seconds(overlap)).ok();
        }
        last = joined;
    }
    let music = music.min(total);
    let fade = fade.min(music / 2);
    // Fades come after the loudness, which would work against them.
    write!(graph, "[{last}]atrim=0:{},{LOUDNESS},aresample=48000", seconds(music)).ok();
    if !fade.is_zero() {
        let (long, out_at) = (seconds(fade), seconds(music.saturating_sub(fade)));
        write!(graph, ",afade=t=in:st=0:d={long},afade=t=out:st={out_at}:d={long}").ok();
    }
    write!(graph, ",apad,atrim=0:{}[out]", seconds(total)).ok();
    graph
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn the_end_of_each_piece_is_taken_with_its_overlap_in_front() {
        let graph = filter(&[(secs(4.0), secs(4.0)), (secs(4.0), secs(8.0))], secs(8.0), secs(1.5));
        assert!(graph.contains("[0:a:0]atrim=start=0.000000,"), "{graph}");
        assert!(graph.contains("[1:a:0]atrim=start=3.750000,"), "{graph}");
        assert!(graph.contains("acrossfade=d=0.250000"), "{graph}");
        assert!(graph.contains("afade=t=out:st=6.500000:d=1.500000"), "{graph}");
        assert!(graph.ends_with("apad,atrim=0:8.000000[out]"), "{graph}");
        let stereo = graph.find("aformat=channel_layouts=stereo").expect("stereo");
        assert!(stereo < graph.find("loudnorm").expect("loudness"), "{graph}");
    }

    #[test]
    fn short_music_fades_where_it_ends() {
        let graph = filter(&[(secs(8.0), secs(3.0))], secs(8.0), secs(2.0));
        assert!(graph.contains("afade=t=out:st=1.500000:d=1.500000"), "{graph}");
        assert!(!filter(&[(secs(8.0), secs(8.0))], secs(8.0), Duration::ZERO).contains("afade"));
    }
}
