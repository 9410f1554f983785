//! A storyboard: the shots of a video in order, each a scene to be.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// One shot.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedScene {
    /// For people.
    pub title: String,
    /// For people.
    pub description: String,
    /// Room or place type.
    pub scene_type: Option<String>,
    /// What should be seen.
    pub prompt: String,
    /// What should be heard.
    pub music_prompt: String,
    /// Length in the video, in milliseconds.
    pub duration_ms: u32,
    /// Photo of the first frame.
    pub first_asset_id: Uuid,
    /// Photo of the last frame.
    pub last_asset_id: Option<Uuid>,
}

/// Without its words: they are the caller's and stand in no log.
impl fmt::Debug for PlannedScene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlannedScene")
            .field("scene_type", &self.scene_type)
            .field("duration_ms", &self.duration_ms)
            .field("first_asset_id", &self.first_asset_id)
            .field("last_asset_id", &self.last_asset_id)
            .finish_non_exhaustive()
    }
}

/// The shots in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storyboard {
    /// At least one.
    pub scenes: Vec<PlannedScene>,
}

impl Storyboard {
    /// Length of the video in milliseconds.
    pub fn total_ms(&self) -> u64 {
        self.scenes.iter().map(|scene| u64::from(scene.duration_ms)).sum()
    }
}
