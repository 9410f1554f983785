//! What the three creation routes have in common: the wishes about the film, parsed into a [`JobSpec`].
//! Each wish may stand at the top or, as older clients do, inside `parameters`; the top wins.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use spool_job::catalog::{self, CatalogError};
use spool_job::prediction::Purpose;
use spool_job::spec::{JobSpec, MAX_CLIP_MS, OnMusicFailure, OnSceneFailure};
use utoipa::ToSchema;

use crate::defaults::JobDefaults;
use crate::error::ApiError;
use crate::extract::casing;
use crate::extract::json::from_object;
use crate::validation::Invalid;

/// Most scenes that one video may have.
pub const MOST_SCENES: u32 = 50;
/// Shortest shot, in seconds.
const SHORTEST_CLIP: f64 = 0.5;

/// How the video should look and what may go wrong.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct FilmWishes {
    /// Model of the clips, by name or alias, such as `google/veo-3.1-fast` or `hailuo-02`.
    pub video_model: Option<String>,
    /// Another name for `video_model`.
    pub model: Option<String>,
    /// Length of each shot in seconds. The model may have to make a longer one, which is billed and cut.
    pub clip_duration: Option<f64>,
    /// Such as `1080p`, as the model allows.
    pub resolution: Option<String>,
    /// Such as `16:9`, as the model allows.
    pub aspect_ratio: Option<String>,
    /// Sound made by the video model itself.
    pub generate_audio: Option<bool>,
    /// Whether to compose music; yes, unless told otherwise here or by the settings.
    pub music: Option<bool>,
    /// Whether a clip or a stretch of music that was bought before by exactly the same order is used again, for nothing; yes unless
    /// told otherwise.
    pub reuse: Option<bool>,
    /// `fail` (default) or `skip`: then the video is made without the scene and marked partial.
    #[schema(value_type = Option<String>)]
    pub on_scene_failure: Option<OnSceneFailure>,
    /// `continue_with_silence` or `halt`.
    #[schema(value_type = Option<String>)]
    pub audio_error_strategy: Option<OnMusicFailure>,
    /// Such as `modern`; goes into the prompts.
    pub style: Option<String>,
    /// Such as `upbeat`; goes into the music prompts.
    pub music_genre: Option<String>,
    /// Start at once instead of waiting for approval. This spends money.
    pub auto_approve: Option<bool>,
}

/// A parsed wish.
#[derive(Debug)]
pub struct Film {
    pub spec: JobSpec,
    pub clip_ms: u32,
    pub style: Option<String>,
    pub music_genre: Option<String>,
    pub auto_approve: bool,
}

impl FilmWishes {
    pub fn check(self, usual_clip: f64, defaults: &JobDefaults, invalid: &mut Invalid) -> Film {
        let named = self.video_model.or(self.model);
        let clip_ms = clip_ms(self.clip_duration.unwrap_or(usual_clip), invalid);
        let model = match &named {
            None => defaults.video_model.clone(),
            Some(name) => match catalog::find(name, Purpose::Render) {
                Ok(model) => model.slug.clone(),
                Err(error) => {
                    invalid.add("video_model", error.to_string());
                    defaults.video_model.clone()
                }
            },
        };
        let spec = JobSpec {
            model,
            resolution: self.resolution.unwrap_or_else(|| "1080p".to_owned()),
            aspect: self.aspect_ratio.unwrap_or_else(|| "16:9".to_owned()),
            audio: self.generate_audio.unwrap_or(false),
            music: self.music.unwrap_or(defaults.music),
            music_fade_ms: spool_job::spec::USUAL_FADE_MS,
            reuse: self.reuse.unwrap_or(true),
            on_scene_failure: self.on_scene_failure.unwrap_or(OnSceneFailure::Fail),
            on_music_failure: self.audio_error_strategy.unwrap_or(defaults.on_music_failure),
        };
        if let Err(error) = spec.check(clip_ms) {
            invalid.add(field_of(&error), error.to_string());
        }
        Film {
            spec,
            clip_ms,
            style: invalid.optional_text("style", self.style, 200),
            music_genre: invalid.optional_text("music_genre", self.music_genre, 200),
            auto_approve: self.auto_approve.unwrap_or(false),
        }
    }
}

/// Which field a refusal of the catalogue is about.
pub fn field_of(error: &CatalogError) -> &'static str {
    match error {
        CatalogError::UnknownModel { .. } | CatalogError::NoPrice { .. } => "video_model",
        CatalogError::Resolution { .. } => "resolution",
        CatalogError::Aspect { .. } => "aspect_ratio",
        CatalogError::TooLong { .. } => "clip_duration",
    }
}

fn clip_ms(seconds: f64, invalid: &mut Invalid) -> u32 {
    let longest = f64::from(MAX_CLIP_MS) / 1000.0;
    if !(SHORTEST_CLIP..=longest).contains(&seconds) {
        invalid.add("clip_duration", format!("must be between {SHORTEST_CLIP} and {longest} seconds"));
        return 4_000;
    }
    (seconds * 1000.0).round() as u32
}

/// A count of scenes or pairs: 1 to [`MOST_SCENES`].
pub fn count(field: &'static str, given: Option<i64>, usual: u32, invalid: &mut Invalid) -> usize {
    let given = given.unwrap_or(i64::from(usual));
    if !(1..=i64::from(MOST_SCENES)).contains(&given) {
        invalid.add(field, format!("must be between 1 and {MOST_SCENES}"));
    }
    given.clamp(1, i64::from(MOST_SCENES)) as usize
}

/// The caller's free `parameters`, as an object.
pub fn parameters(given: Option<Value>, invalid: &mut Invalid) -> Map<String, Value> {
    match invalid.object("parameters", given) {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Reads a request whose wishes may also stand inside `parameters`, where unknown names mean nothing.
pub fn with_parameters<T: DeserializeOwned>(mut top: Map<String, Value>) -> Result<T, ApiError> {
    if let Some(Value::Object(inner)) = top.get("parameters") {
        for (name, value) in casing::snake_keys(inner.clone()) {
            let free = matches!(name.as_str(), "parameters" | "campaign_id" | "client_id") || value.is_null();
            if !free && top.get(&name).is_none_or(Value::is_null) {
                top.insert(name, value);
            }
        }
    }
    // The wishes alone first: inside a flattened struct serde no longer knows which field was wrong.
    from_object::<FilmWishes>(top.clone())?;
    from_object(top)
}
