//! Joining clips into one film, copying what can be copied.
//!
//! `ffmpeg -f concat -c copy` of clips that differ exits with success and writes a broken film, so nothing is
//! believed: the clips are compared first, odd ones are brought into the form of the others, and the lengths
//! are checked afterwards.

use crate::args;
use crate::cut::CleanEnd;
use crate::error::MediaError;
use crate::ffmpeg::{Ffmpeg, work_timeout};
use crate::probe::{AudioStream, Probe, Ratio, VideoStream, input};
use crate::profile::{self, Form, PROFILES, Target};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How far a film may be from the sum of its clips.
const TOLERANCE: Duration = Duration::from_millis(100);
/// How far a copied clip may end from where it should; what it is off is made up in the clips that follow.
const CUT_TOLERANCE: Duration = Duration::from_millis(90);
/// How much shorter than wanted a clip may be: models that promise 6 s deliver 5.88 s.
const SHORTFALL: Duration = Duration::from_millis(300);

/// One clip of a film.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clip {
    /// Where it lies.
    pub path: PathBuf,
    /// How much of its beginning is shown.
    pub cut_to: Duration,
}

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stitched {
    /// The length of the film's picture.
    pub duration: Duration,
    /// How many clips kept their pictures as they were.
    pub copied: usize,
    /// How many were encoded again.
    pub normalised: usize,
}

/// A clip ready to be joined.
struct Part {
    path: PathBuf,
    length: Duration,
}

impl Ffmpeg {
    /// Joins `clips` in order into `out` (MP4), in the form that most of them have already.
    ///
    /// # Errors
    /// [`MediaError::Unusable`] names the clip that is broken or much too short; [`MediaError::NotAsAsked`] when
    /// the film's length is not the sum of its clips.
    pub async fn join(&self, clips: &[Clip], target: Target, out: &Path) -> Result<Stitched, MediaError> {
        let mut probes = Vec::with_capacity(clips.len());
        for clip in clips {
            probes.push(self.probe(&clip.path).await?);
        }
        let mut films = Vec::with_capacity(clips.len());
        for (clip, probe) in clips.iter().zip(&probes) {
            let video =
                probe.video.as_ref().ok_or_else(|| MediaError::unusable(&clip.path, "it has no picture"))?;
            films.push((probe, video));
        }
        if films.is_empty() {
            return Err(MediaError::BadRequest { operation: "join clips", why: "there are none".into() });
        }
        let join = Join {
            ffmpeg: self,
            form: profile::choose(&films, &target),
            audio: target.audio && probes.iter().any(|probe| probe.audio.is_some()),
            folder: tempfile::tempdir_in(out.parent().unwrap_or(Path::new(".")))
                .map_err(|source| MediaError::disk("make a folder beside", out, source))?,
        };
        let (mut parts, mut copied) = (Vec::with_capacity(clips.len()), 0);
        let (mut wanted, mut made) = (Duration::ZERO, Duration::ZERO);
        for (index, (clip, (probe, video))) in clips.iter().zip(films).enumerate() {
            wanted += clip.cut_to;
            // From here to where this clip should end, so that small errors do not add up.
            let show = wanted.saturating_sub(made);
            if probe.video_duration() + SHORTFALL < clip.cut_to {
                let why = format!("it is {:?} long, {:?} are needed", probe.video_duration(), clip.cut_to);
                return Err(MediaError::unusable(&clip.path, why));
            }
            let (part, is_copy) = join.part(index, &clip.path, probe, video, show).await?;
            made += part.length;
            copied += usize::from(is_copy);
            parts.push(part);
        }
        join.concat(&parts, out).await?;
        let film = self.probe(out).await?;
        let sound = film.audio.as_ref().and_then(|audio| audio.duration);
        let lengths = [("picture", Some(film.video_duration())), ("sound", sound)];
        for (what, length) in lengths {
            if length.is_some_and(|length| length.abs_diff(made) > TOLERANCE) {
                let why = format!("its {what} is {length:?} long, its clips together {made:?}");
                return Err(MediaError::not_as_asked(out, why));
            }
        }
        let normalised = clips.len() - copied;
        tracing::debug!(copied, normalised, ?made, ?wanted, form = ?join.form, "joined");
        Ok(Stitched { duration: film.video_duration(), copied, normalised })
    }
}

struct Join<'a> {
    ffmpeg: &'a Ffmpeg,
    form: Form,
    audio: bool,
    folder: tempfile::TempDir,
}

impl Join<'_> {
    /// Brings one clip into the film's form, showing `show` of it. Tells whether its pictures were copied.
    async fn part(
        &self,
        index: usize,
        path: &Path,
        probe: &Probe,
        video: &VideoStream,
        show: Duration,
    ) -> Result<(Part, bool), MediaError> {
        let whole = probe.video_duration();
        let half_frame = Duration::from_secs_f64(0.5 / video.frame_rate.value());
        let out = self.folder.path().join(format!("{index}.mp4"));
        if !profile::copies(video, &self.form) {
            return Ok((self.encode(path, probe, show, out).await?, false));
        }
        let end = if whole <= show + half_frame {
            None
        } else {
            let end = self.ffmpeg.clean_end_near(path, video.time_base, show).await?;
            let off = |end: &CleanEnd| end.length(video.time_base).abs_diff(show);
            match end {
                Some(end) if off(&end) <= off_by(whole, show).min(CUT_TOLERANCE) => Some(end),
                // The whole clip is nearer than any clean end.
                _ if off_by(whole, show) <= CUT_TOLERANCE => None,
                _ => return Ok((self.encode(path, probe, show, out).await?, false)),
            }
        };
        let length = end.map_or(whole, |end| end.length(video.time_base));
        let same_ticks = video.time_base == Ratio { num: 1, den: self.form.timescale };
        let sound_fits = match &probe.audio {
            None => !self.audio,
            Some(audio) => self.audio && is_standard(audio) && ends_with(audio, whole),
        };
        if end.is_none() && same_ticks && sound_fits {
            return Ok((Part { path: path.to_owned(), length }, true));
        }
        let mut argv: Vec<OsString> = vec![];
        self.inputs(&mut argv, path, probe, "0:v:0");
        argv.extend(args!["-c:v", "copy"].map(OsString::from));
        if let Some(end) = end {
            argv.extend(args!["-frames:v", &end.packets.to_string()].map(OsString::from));
        }
        self.sound(&mut argv, probe, length);
        self.write(argv, length, out, true).await.map(|part| (part, true))
    }

    async fn encode(
        &self,
        path: &Path,
        probe: &Probe,
        show: Duration,
        out: PathBuf,
    ) -> Result<Part, MediaError> {
        let shape = &self.form.shape;
        let (width, height, rate) = (shape.width, shape.height, shape.frame_rate);
        let frames = (show.as_secs_f64() * rate.value()).round().max(1.0);
        let length = Duration::from_secs_f64(frames / rate.value());
        let known = |name: &str| if name.is_empty() { "unknown".to_owned() } else { name.to_owned() };
        let color = &shape.color;
        // The last picture stands still for as long as a clip falls short.
        let filter = format!(
            "[0:v:0]scale={width}:{height}:force_original_aspect_ratio=decrease,\
             pad={width}:{height}:(ow-iw)/2:(oh-ih)/2,setsar=1,fps={rate},\
             tpad=stop_mode=clone:stop_duration=1,format=yuv420p,\
             setparams=range={}:color_primaries={}:color_trc={}:colorspace={}[v]",
            known(&color.range),
            known(&color.primaries),
            known(&color.transfer),
            known(&color.space),
        );
        let profile =
            PROFILES.iter().find(|(name, _)| *name == shape.profile).map_or("high", |(_, x264)| x264);
        let b_frames = if shape.reordered { "3" } else { "0" };
        let mut argv: Vec<OsString> = vec![];
        self.inputs(&mut argv, path, probe, "[v]");
        argv.extend(
            args!["-filter_complex", &filter, "-c:v", "libx264", "-preset", "veryfast"].map(OsString::from),
        );
        argv.extend(args!["-crf", "20", "-profile:v", profile, "-bf", b_frames].map(OsString::from));
        argv.extend(args!["-g", "48", "-frames:v", &frames.to_string()].map(OsString::from));
        self.sound(&mut argv, probe, length);
        self.write(argv, length, out, false).await
    }

    /// Inputs and the map of streams: the picture, then the clip's own sound or silence or nothing.
    fn inputs(&self, argv: &mut Vec<OsString>, path: &Path, probe: &Probe, picture: &str) {
        argv.extend(args!["-protocol_whitelist", "file", "-i", &input(path)].map(OsString::from));
        if self.audio && probe.audio.is_none() {
            argv.extend(args!["-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo"].map(OsString::from));
        }
        argv.extend(args!["-map", picture].map(OsString::from));
        if self.audio {
            let sound = if probe.audio.is_some() { "0:a:0" } else { "1:a:0" };
            argv.extend(args!["-map", sound].map(OsString::from));
        }
    }

    fn sound(&self, argv: &mut Vec<OsString>, probe: &Probe, length: Duration) {
        if self.audio {
            if probe.audio.as_ref().is_some_and(|audio| is_standard(audio) && ends_with(audio, length)) {
                argv.extend(args!["-c:a", "copy"].map(OsString::from));
            } else {
                let codec =
                    args!["-c:a", "aac", "-profile:a", "aac_low", "-b:a", "192k", "-ar", "48000", "-ac", "2"];
                argv.extend(codec.map(OsString::from));
                argv.extend(args!["-af", "apad"].map(OsString::from));
            }
            argv.extend(args!["-t", &seconds(length)].map(OsString::from));
        }
    }

    async fn write(
        &self,
        mut argv: Vec<OsString>,
        length: Duration,
        out: PathBuf,
        copy: bool,
    ) -> Result<Part, MediaError> {
        let timescale = self.form.timescale.to_string();
        argv.extend(
            args!["-video_track_timescale", &timescale, "-f", "mp4", &input(&out)].map(OsString::from),
        );
        let operation = if copy { "cut a clip into" } else { "normalise a clip into" };
        let word = if copy { "cut" } else { "normalise" };
        let ran = self.ffmpeg.doing(word).over(length).run(&argv, work_timeout(length)).await;
        ran.map_err(|source| MediaError::tool(operation, &out, source))?;
        let made = self.ffmpeg.probe(&out).await?;
        let video = made.video.as_ref().ok_or_else(|| MediaError::not_as_asked(&out, "it has no picture"))?;
        let shape = &self.form.shape;
        let fits = (video.width, video.height, video.frame_rate)
            == (shape.width, shape.height, shape.frame_rate)
            && (video.profile.as_str(), video.pix_fmt.as_str()) == (shape.profile.as_str(), "yuv420p");
        if !fits || made.audio.is_some() != self.audio || made.video_duration().abs_diff(length) > TOLERANCE {
            let why = format!("a part should be {shape:?} and {length:?} long, it is {made:?}");
            return Err(MediaError::not_as_asked(&out, why));
        }
        Ok(Part { length: made.video_duration(), path: out })
    }

    async fn concat(&self, parts: &[Part], out: &Path) -> Result<(), MediaError> {
        let list = self.folder.path().join("list.txt");
        let disk = |source| MediaError::disk("write", &list, source);
        let mut text = Vec::from("ffconcat version 1.0\n");
        for part in parts {
            // Relative names would be looked up beside the list.
            let path = std::path::absolute(&part.path).map_err(disk)?;
            text.extend_from_slice(b"file '");
            text.extend(path.as_os_str().as_bytes().iter().flat_map(|byte| match byte {
                b'\'' => b"'\\''".to_vec(),
                byte => vec![*byte],
            }));
            // The next clip starts where the picture ends, not where a longer last sound packet does.
            text.extend_from_slice(format!("'\nduration {}\n", seconds(part.length)).as_bytes());
        }
        tokio::fs::write(&list, text).await.map_err(disk)?;
        let timescale = self.form.timescale.to_string();
        let argv = args![
            "-f",
            "concat",
            "-safe",
            "0",
            "-protocol_whitelist",
            "file",
            "-i",
            &input(&list),
            "-map",
            "0:v:0",
            "-map",
            "0:a:0?",
            "-c",
            "copy",
            "-video_track_timescale",
            &timescale,
            "-movflags",
            "+faststart",
            "-f",
            "mp4",
            &input(out)
        ]
        .map(OsString::from);
        let length = parts.iter().map(|part| part.length).sum();
        let ran = self.ffmpeg.doing("join").over(length).run(&argv, work_timeout(length)).await;
        ran.map_err(|source| MediaError::tool("join clips into", out, source))
    }
}

/// The sound that every film here has.
fn is_standard(audio: &AudioStream) -> bool {
    (audio.codec.as_str(), audio.profile.as_str(), audio.sample_rate, audio.channels)
        == ("aac", "LC", 48_000, 2)
}

/// Whether the sound lasts as long as the picture, to a few packets: a shorter one would pull the rest forward.
fn ends_with(audio: &AudioStream, length: Duration) -> bool {
    audio.duration.is_some_and(|audio| audio + Duration::from_millis(50) >= length)
}

fn off_by(whole: Duration, show: Duration) -> Duration {
    whole.abs_diff(show)
}

/// Seconds as FFmpeg reads them.
pub(crate) fn seconds(length: Duration) -> String {
    format!("{:.6}", length.as_secs_f64())
}
