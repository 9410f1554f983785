//! Shots as the older systems planned them: entries of a storyboard, or rows of their own.

use super::ids;
use crate::source::row::{Row, clean};
use serde_json::Value;
use uuid::Uuid;

/// What a shot lasts where nothing says it, in milliseconds: the older systems' own default.
const USUAL_MS: i32 = 4_000;
/// Longest shot that is believed, in seconds.
const LONGEST: f64 = 3_600.0;

/// One planned shot.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Shot {
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) scene_type: Option<String>,
    pub(crate) prompt: Option<String>,
    pub(crate) music_prompt: Option<String>,
    pub(crate) duration_ms: Option<i32>,
    /// Photos of its first and last frame.
    pub(crate) photos: Vec<Uuid>,
}

impl Shot {
    pub(crate) fn milliseconds(&self) -> i32 {
        self.duration_ms.unwrap_or(USUAL_MS)
    }
}

/// The shots of a storyboard: a list, or an object that holds one.
pub(crate) fn of_storyboard(source: &str, storyboard: &Value) -> Vec<Shot> {
    let list = storyboard.as_array().or_else(|| storyboard.get("scenes")?.as_array());
    list.map(|list| list.iter().map(|entry| of_entry(source, entry)).collect()).unwrap_or_default()
}

fn of_entry(source: &str, entry: &Value) -> Shot {
    let text = |names: &[&str]| {
        let found = names.iter().find_map(|name| entry.get(name)?.as_str()).map(str::trim);
        found.filter(|text| !text.is_empty()).map(clean)
    };
    let seconds = ["duration", "duration_seconds"].iter().find_map(|name| number(entry.get(name)?));
    let description = text(&["description", "scene_description"]);
    Shot {
        title: text(&["title", "name"]),
        scene_type: text(&["scene_type", "sceneType"]),
        prompt: text(&["prompt", "video_prompt", "image_prompt", "visual_prompt"])
            .or_else(|| description.clone()),
        description,
        music_prompt: text(&["music_description", "music_prompt"]),
        duration_ms: seconds.and_then(milliseconds),
        photos: ["asset_ids", "assetIds", "assets"]
            .iter()
            .find_map(|name| entry.get(name))
            .map(|list| photos(source, list))
            .unwrap_or_default(),
    }
}

/// A shot that had a row of its own.
pub(crate) fn of_row(source: &str, row: &Row) -> Shot {
    let text = |column: &str| row.text(column).map(|text| clean(text.trim()));
    let seconds = match row.cell("duration_seconds") {
        crate::source::row::Cell::Integer(number) => Some(*number as f64),
        crate::source::row::Cell::Real(number) => Some(*number),
        _ => None,
    };
    Shot {
        title: None,
        description: text("description"),
        scene_type: text("shot_type"),
        prompt: text("description").or_else(|| text("script")),
        music_prompt: None,
        duration_ms: seconds.and_then(milliseconds),
        photos: row.json("assets").map(|list| photos(source, &list)).unwrap_or_default(),
    }
}

/// Ids of assets, bare or in objects.
fn photos(source: &str, list: &Value) -> Vec<Uuid> {
    let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let ids = entries.iter().filter_map(|entry| {
        entry
            .as_str()
            .or_else(|| ["id", "asset_id", "assetId"].iter().find_map(|name| entry.get(name)?.as_str()))
    });
    ids.filter(|id| !id.trim().is_empty()).map(|id| ids::uuid(source, "assets", id)).take(2).collect()
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

pub(crate) fn milliseconds(seconds: f64) -> Option<i32> {
    (seconds > 0.0 && seconds <= LONGEST).then(|| (seconds * 1000.0).round() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn storyboards_of_both_shapes_are_read() {
        let photo = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
        let entry = json!({"title": "Porch", "description": "At dusk", "duration": "4.5", "asset_ids": [photo, {"id": photo}, photo]});
        for storyboard in [json!([entry]), json!({"scenes": [entry], "total_duration": 4.5})] {
            let shots = of_storyboard("elixir", &storyboard);
            let id: Uuid = photo.parse().unwrap();
            let expected = Shot {
                title: Some("Porch".into()),
                description: Some("At dusk".into()),
                prompt: Some("At dusk".into()),
                duration_ms: Some(4500),
                photos: vec![id, id],
                ..Shot::default()
            };
            assert_eq!(shots, [expected]);
        }
        for odd in [json!(null), json!("text"), json!({"scenes": 3})] {
            assert_eq!(of_storyboard("elixir", &odd), []);
        }
        assert_eq!(of_storyboard("elixir", &json!([7])), [Shot::default()]);
        assert_eq!(
            (milliseconds(0.0), milliseconds(-1.0), milliseconds(1e9), milliseconds(f64::NAN)),
            (None, None, None, None)
        );
    }
}
