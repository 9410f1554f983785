//! Makes the media of a run: real ones with FFmpeg, or in cheap mode cached ones made unique.

use crate::canonical;
use crate::error::SimulatorError;
use crate::fetch::Inputs;
use crate::ffmpeg_args::{self, Clip, Window};
use crate::measure;
use crate::model::{Family, Model, switch, whole, words};
use crate::record::OutputFile;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use spool_media::ffmpeg::{Ffmpeg, FfmpegError};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Mutex;

/// Longest run of FFmpeg for one output.
const TIMEOUT: Duration = Duration::from_secs(300);
/// FFmpeg processes at once: the simulator shares its machine with what it is there to test.
const PARALLEL: usize = 2;

/// Makes media.
pub(crate) struct Studio {
    ffmpeg: Ffmpeg,
    cache: PathBuf,
    cheap: bool,
    seed: u64,
    /// One at a time fills the cache.
    filling: Mutex<()>,
}

/// What a run is asked to make.
pub(crate) struct Order<'a> {
    pub(crate) id: &'a str,
    pub(crate) model: &'a Model,
    /// Defaults filled in.
    pub(crate) input: &'a Map<String, Value>,
    pub(crate) media: &'a Inputs,
    pub(crate) dir: &'a Path,
}

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StudioError {
    /// The model would complain about its input.
    #[error("{0}")]
    Input(String),
    #[error("FFmpeg could not make the output")]
    Ffmpeg(#[from] FfmpegError),
    #[error("the output could not be written")]
    Write(#[from] std::io::Error),
}

impl Studio {
    pub(crate) fn open(data: &Path, cheap: bool, seed: u64) -> Result<Self, SimulatorError> {
        let cache = data.join("cache");
        std::fs::create_dir_all(&cache)
            .map_err(|source| SimulatorError::Data { path: cache.clone(), source })?;
        let ffmpeg = Ffmpeg::discover(PARALLEL).map_err(SimulatorError::Ffmpeg)?;
        Ok(Self { ffmpeg, cache, cheap, seed, filling: Mutex::new(()) })
    }

    /// Makes every output of a run in its folder.
    pub(crate) async fn make(&self, order: &Order<'_>) -> Result<Vec<OutputFile>, StudioError> {
        let (names, content_type) = names(order);
        let mut files = Vec::new();
        for (index, name) in names.into_iter().enumerate() {
            let path = order.dir.join(&name);
            self.make_one(order, index as u32, &name, &path).await?;
            files.push(OutputFile {
                sha256: sha256(&path).await?,
                name,
                content_type: content_type.to_owned(),
            });
        }
        Ok(files)
    }

    async fn make_one(
        &self,
        order: &Order<'_>,
        index: u32,
        name: &str,
        path: &Path,
    ) -> Result<(), StudioError> {
        let input = order.input;
        let seed = self.seed_of(input, index);
        match order.model.family {
            Family::Veo | Family::Hailuo => {
                let shape = self.shape(order, seed).await?;
                if self.cheap {
                    let key = format!("{:?}", Clip { seed: 0, ..shape });
                    let fresh = |out: &Path| ffmpeg_args::clip(None, None, shape, "cached", out);
                    let cached = self.cached(&key, "mp4", fresh).await?;
                    return Ok(unique_mp4(&cached, order.id, path).await?);
                }
                let (first, last) = match order.model.family {
                    Family::Veo => ("image", "last_frame"),
                    _ => ("first_frame_image", "last_frame_image"),
                };
                let (first, last) = (order.media.file(first), order.media.file(last));
                // With only a last picture there is nothing to come from.
                let (first, last) = if first.is_none() { (last, None) } else { (first, last) };
                let args = ffmpeg_args::clip(first, last, shape, order.id, path);
                self.run_on_input(&args, "cannot identify image file").await
            }
            Family::Musicgen => self.music(order, seed, path).await,
            Family::Flux => {
                let (width, height) = image_size(words(input, "aspect_ratio"), words(input, "megapixels"));
                Ok(self.run(&ffmpeg_args::image(width, height, seed, order.id, path)).await?)
            }
            Family::Speech => {
                let channels = if words(input, "channel") == "stereo" { 2 } else { 1 };
                let rate = whole(input, "sample_rate") as u32;
                let seconds = measure::speech_seconds(input);
                let args = ffmpeg_args::speech(seconds, rate, channels, order.id, path);
                tracing::debug!(external_id = order.id, file = name, seconds, "speech");
                Ok(self.run(&args).await?)
            }
        }
    }

    async fn music(&self, order: &Order<'_>, seed: u32, path: &Path) -> Result<(), StudioError> {
        let input = order.input;
        let seconds = whole(input, "duration") as u32;
        let audio = order.media.file("input_audio").filter(|_| switch(input, "continuation"));
        let window = match audio {
            None => None,
            Some(audio) => Some(self.window(input, audio).await?),
        };
        if self.cheap {
            let ending = words(input, "output_format").to_owned();
            let length = window.map_or(0.0, |window| window.end - window.start) + f64::from(seconds);
            let fresh = |out: &Path| ffmpeg_args::music(length.ceil() as u32, 5, None, "cached", out);
            let cached = self.cached(&format!("music {} {ending}", length.ceil()), &ending, fresh).await?;
            return Ok(self.run(&ffmpeg_args::again(&cached, order.id, path)).await?);
        }
        let args = ffmpeg_args::music(seconds, seed, window, order.id, path);
        self.run_on_input(&args, "could not decode audio").await
    }

    /// The part of the input that is continued. It must lie within the file, as for the real model.
    async fn window<'a>(
        &self,
        input: &Map<String, Value>,
        audio: &'a Path,
    ) -> Result<Window<'a>, StudioError> {
        let length = self.probe(audio, "format=duration").await?;
        let length = length
            .first()
            .copied()
            .ok_or_else(|| StudioError::Input("RuntimeError: could not decode audio".to_owned()))?;
        let start = whole(input, "continuation_start") as f64;
        let end = if input.contains_key("continuation_end") {
            whole(input, "continuation_end") as f64
        } else {
            length
        };
        // A tenth of a second of slack: encoders pad and cut.
        if start >= length || end > length + 0.1 {
            let text = format!(
                "ValueError: continuation window {start}-{end} is outside of the audio ({length:.2} s)"
            );
            return Err(StudioError::Input(text));
        }
        Ok(Window { audio, start, end: end.min(length) })
    }

    async fn shape(&self, order: &Order<'_>, seed: u32) -> Result<Clip, StudioError> {
        let input = order.input;
        let seconds = whole(input, "duration") as u32;
        let side = match words(input, "resolution") {
            "512p" => 512,
            "720p" => 720,
            "768p" => 768,
            _ => 1080,
        };
        if order.model.family == Family::Veo {
            let long = side * 16 / 9;
            let (width, height) =
                if words(input, "aspect_ratio") == "9:16" { (side, long) } else { (long, side) };
            let audio = switch(input, "generate_audio");
            return Ok(Clip { width, height, fps: 24, seconds, timescale: 12288, audio, seed });
        }
        // Hailuo follows its first picture, and counts time in another way, so that joining has work to do.
        let picture = order.media.file("first_frame_image").or(order.media.file("last_frame_image"));
        let ratio = match picture.filter(|_| !self.cheap) {
            None => 16.0 / 9.0,
            Some(path) => match self.probe(path, "stream=width,height").await?.as_slice() {
                [width, height, ..] if *height > 0.0 => (width / height).clamp(0.4, 2.5),
                _ => return Err(StudioError::Input("ValueError: cannot identify image file".to_owned())),
            },
        };
        let even = |length: f64| (length / 2.0).round() as u32 * 2;
        let (width, height) = if ratio >= 1.0 {
            (even(f64::from(side) * ratio), side)
        } else {
            (side, even(f64::from(side) / ratio))
        };
        Ok(Clip { width, height, fps: 25, seconds, timescale: 12800, audio: false, seed })
    }

    /// Numbers that ffprobe finds in a file; none when it cannot read it.
    async fn probe(&self, path: &Path, entries: &str) -> Result<Vec<f64>, StudioError> {
        let args: [OsString; 7] = [
            "-select_streams".into(),
            "0".into(),
            "-show_entries".into(),
            entries.into(),
            "-of".into(),
            "csv=p=0".into(),
            path.into(),
        ];
        match self.ffmpeg.ffprobe(&args, TIMEOUT).await {
            Ok(text) => Ok(String::from_utf8_lossy(&text)
                .split([',', '\n'])
                .filter_map(|it| it.trim().parse().ok())
                .collect()),
            Err(FfmpegError::Failed { .. }) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    async fn cached(
        &self,
        key: &str,
        ending: &str,
        args: impl FnOnce(&Path) -> Vec<OsString>,
    ) -> Result<PathBuf, StudioError> {
        let name = canonical::hex(&Sha256::digest(key.as_bytes())[..12]);
        let path = self.cache.join(format!("{name}.{ending}"));
        let _filling = self.filling.lock().await;
        if !tokio::fs::try_exists(&path).await? {
            let fresh = self.cache.join(format!("{name}.new.{ending}"));
            self.run(&args(&fresh)).await?;
            tokio::fs::rename(&fresh, &path).await?;
        }
        Ok(path)
    }

    async fn run(&self, args: &[OsString]) -> Result<(), FfmpegError> {
        self.ffmpeg.run(args, TIMEOUT).await
    }

    /// Runs where the likely culprit is the caller's file.
    async fn run_on_input(&self, args: &[OsString], complaint: &str) -> Result<(), StudioError> {
        match self.run(args).await {
            Err(FfmpegError::Failed { stderr, .. }) => {
                tracing::info!(error = %stderr, "the input could not be used");
                Err(StudioError::Input(format!("RuntimeError: {complaint}")))
            }
            other => Ok(other?),
        }
    }

    /// The same input gives the same colours and tunes.
    fn seed_of(&self, input: &Map<String, Value>, index: u32) -> u32 {
        let text = format!("{}/{index}/{}/{}", self.seed, words(input, "prompt"), whole(input, "seed"));
        let digest = Sha256::digest(text.as_bytes());
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) >> 1
    }
}

fn names(order: &Order<'_>) -> (Vec<String>, &'static str) {
    let format = words(order.input, "output_format");
    match order.model.family {
        Family::Veo | Family::Hailuo => (vec!["output.mp4".to_owned()], "video/mp4"),
        Family::Musicgen if format == "mp3" => (vec!["out.mp3".to_owned()], "audio/mpeg"),
        Family::Musicgen => (vec!["out.wav".to_owned()], "audio/wav"),
        Family::Speech => (vec!["speech.mp3".to_owned()], "audio/mpeg"),
        Family::Flux => {
            let content_type = match format {
                "jpg" => "image/jpeg",
                "png" => "image/png",
                _ => "image/webp",
            };
            let count = whole(order.input, "num_outputs");
            ((0..count).map(|index| format!("out-{index}.{format}")).collect(), content_type)
        }
    }
}

fn image_size(aspect: &str, megapixels: &str) -> (u32, u32) {
    let (wide, high) = aspect.split_once(':').unwrap_or(("1", "1"));
    let (wide, high): (f64, f64) = (wide.parse().unwrap_or(1.0), high.parse().unwrap_or(1.0));
    let area: f64 = if megapixels == "0.25" { 512.0 * 512.0 } else { 1024.0 * 1024.0 };
    let side = |ratio: f64| ((area * ratio).sqrt() / 16.0).round() as u32 * 16;
    (side(wide / high), side(high / wide))
}

/// A copy with an empty box at its end that carries the id: other bytes, same pictures, no process.
async fn unique_mp4(cached: &Path, id: &str, out: &Path) -> std::io::Result<()> {
    tokio::fs::copy(cached, out).await?;
    let mut file = tokio::fs::OpenOptions::new().append(true).open(out).await?;
    let mut free = ((8 + id.len()) as u32).to_be_bytes().to_vec();
    free.extend_from_slice(b"free");
    free.extend_from_slice(id.as_bytes());
    file.write_all(&free).await?;
    file.flush().await
}

async fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = tokio::fs::File::open(path).await?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut chunk).await?;
        if read == 0 {
            return Ok(canonical::hex(&hash.finalize()));
        }
        hash.update(&chunk[..read]);
    }
}
