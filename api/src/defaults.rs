//! What a job is made with when its request does not say.

use spool_job::spec::OnMusicFailure;

#[derive(Debug, Clone)]
pub struct JobDefaults {
    /// Slug of a model in the catalogue.
    pub video_model: String,
    pub on_music_failure: OnMusicFailure,
    /// Whether videos get music.
    pub music: bool,
}
