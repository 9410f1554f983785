//! What a job is to make, parsed: from here on it is valid.

use crate::catalog::{self, CatalogError, Model};
use crate::prediction::Purpose;
use crate::state::text_enum;
use serde::{Deserialize, Serialize};

text_enum! {
    /// How a job came to be.
    JobKind {
        /// Clips between pairs of photos.
        ImagePairs = "image_pairs",
        /// Clips of a property's rooms.
        PropertyPhotos = "property_photos",
        /// One clip from a prompt, without photos: jobs of an older system, none of ours.
        Prompt = "prompt",
    }
}

text_enum! {
    /// What one failed scene does to the video.
    OnSceneFailure {
        /// The job fails; what was bought is kept.
        Fail = "fail",
        /// The video is made without it and marked partial.
        Skip = "skip",
    }
}

text_enum! {
    /// What failed music does to the video.
    OnMusicFailure {
        /// Silence from there on.
        ContinueWithSilence = "continue_with_silence",
        /// The job fails.
        Halt = "halt",
    }
}

/// Frame size of the finished video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameSize {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// A job's spec: model and look of all its clips, and what to do when something fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Model slug, from the catalogue.
    pub model: String,
    /// One of the model's resolutions.
    pub resolution: String,
    /// One of the model's aspect ratios.
    pub aspect: String,
    /// Native audio of the clips.
    pub audio: bool,
    /// Whether to compose a soundtrack.
    pub music: bool,
    /// How long it fades in and out, in milliseconds.
    #[serde(default = "usual_fade")]
    pub music_fade_ms: u32,
    /// Whether an output that was bought before by the same order is used again, for nothing.
    #[serde(default = "yes")]
    pub reuse: bool,
    /// What one failed scene does.
    pub on_scene_failure: OnSceneFailure,
    /// What failed music does.
    pub on_music_failure: OnMusicFailure,
}

/// Specs from before there was a choice.
const fn yes() -> bool {
    true
}

/// How long soundtracks fade in and out unless told otherwise, in milliseconds.
pub const USUAL_FADE_MS: u32 = 1500;
/// Longest fade of a soundtrack, in milliseconds.
pub const MAX_FADE_MS: u32 = 10_000;

/// Specs from before there was a choice.
const fn usual_fade() -> u32 {
    USUAL_FADE_MS
}

/// Longest shot of a storyboard, in milliseconds.
pub const MAX_CLIP_MS: u32 = 60_000;

impl JobSpec {
    /// Checks model, aspect, resolution and clip length against each other.
    pub fn check(&self, clip_ms: u32) -> Result<&'static Model, CatalogError> {
        let model = self.model()?;
        model.check_aspect(&self.aspect)?;
        model.snap_duration(&self.resolution, clip_ms)?;
        Ok(model)
    }

    /// The model that renders the clips.
    pub fn model(&self) -> Result<&'static Model, CatalogError> {
        catalog::find(&self.model, Purpose::Render)
    }

    /// Frame size of the finished video: the resolution is the short side, always even.
    pub fn frame_size(&self) -> FrameSize {
        let short: u32 = self.resolution.trim_end_matches('p').parse().unwrap_or(1080);
        let even = |long: u32| long.div_ceil(2) * 2;
        match self.aspect.split_once(':').map(|(w, h)| (w.parse().unwrap_or(16), h.parse().unwrap_or(9))) {
            Some((w, h)) if h > w => FrameSize { width: short, height: even(short * h / w) },
            Some((w, h)) if h > 0 => FrameSize { width: even(short * w / h), height: short },
            _ => FrameSize { width: even(short * 16 / 9), height: short },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(resolution: &str, aspect: &str) -> JobSpec {
        JobSpec {
            model: "google/veo-3.1-fast".into(),
            resolution: resolution.into(),
            aspect: aspect.into(),
            audio: false,
            music: true,
            music_fade_ms: USUAL_FADE_MS,
            reuse: true,
            on_scene_failure: OnSceneFailure::Fail,
            on_music_failure: OnMusicFailure::ContinueWithSilence,
        }
    }

    #[test]
    fn frames_have_even_sides() {
        for (resolution, aspect, width, height) in [
            ("1080p", "16:9", 1920, 1080),
            ("1080p", "9:16", 1080, 1920),
            ("720p", "16:9", 1280, 720),
            ("768p", "16:9", 1366, 768),
            ("1080p", "1:1", 1080, 1080),
        ] {
            assert_eq!(
                spec(resolution, aspect).frame_size(),
                FrameSize { width, height },
                "{resolution} {aspect}"
            );
        }
    }

    #[test]
    fn what_the_model_cannot_do_is_refused_before_anything_is_written() {
        assert!(spec("1080p", "16:9").check(8_000).is_ok());
        assert!(spec("1080p", "16:9").check(9_000).is_err());
        assert!(spec("1080p", "1:1").check(4_000).is_err());
        assert!(spec("4k", "16:9").check(4_000).is_err());
    }
}
