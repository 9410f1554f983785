//! Briefs of the Python system.

use super::reader::Reader;
use super::{Mapped, Target, Whole, ids};
use serde_json::json;
use spool_db::import::briefs::Brief;

pub(crate) fn brief(source: &str, whole: &Whole) -> Mapped {
    let mut row = Reader::new(&whole.row, &whole.media);
    row.knows(&["id"]);
    let digest = |held: &crate::keep::Held| held.digest.clone();
    let new = Brief {
        prompt: row.text(&["prompt_text"]),
        image_url: row.text(&["image_url"]),
        video_url: row.text(&["video_url"]),
        image_digest: row.media(&["image_data"], |_| true).map(digest),
        video_digest: row.media(&["video_data"], |_| true).map(digest),
        creative_direction: row.json(&["creative_direction"]).unwrap_or_else(|| json!({})),
        scenes: row.json(&["scenes"]).unwrap_or_else(|| json!([])),
        confidence_score: row.real(&["confidence_score"]),
    };
    let id = ids::uuid(source, "creative_briefs", &whole.row.id);
    let times = row.times();
    Mapped::only(Target::Brief(id, new, times), row.rest())
}
