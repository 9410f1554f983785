//! A job of the Elixir system with its sub-jobs.

use super::asset::plain;
use super::job::{self, Clip, Stood, is_audio, is_image, is_video};
use super::reader::Reader;
use super::{Child, Mapped, Target, Whole, ids, shot};
use crate::owners::Owner;
use serde_json::{Value, json};
use spool_db::import::jobs::OldJob;
use spool_job::spec::JobKind;
use spool_job::state::{JobState, SceneState};

/// Where the thumbnail that stood inside the progress is held.
pub(crate) const THUMBNAIL: &str = "progress.thumbnail";

pub(crate) fn job(source: &str, whole: &Whole, owner: Owner) -> Mapped {
    let mut row = Reader::new(&whole.row, &whole.media);
    row.knows(&["id", "type"]);
    let progress = whole.row.json("progress").unwrap_or_else(|| json!({}));
    let parameters = row.object(&["parameters"]).unwrap_or_else(|| json!({}));
    let storyboard = whole.row.json("storyboard").unwrap_or_else(|| json!({}));
    let shots = shot::of_storyboard(source, &storyboard);
    let (clips, children): (Vec<Clip>, Vec<Child>) = whole
        .children
        .iter()
        .map(|(child, media)| {
            clip(source, &Whole { row: child.clone(), media: media.clone(), children: vec![] })
        })
        .unzip();
    let scenes = job::scenes(source, "jobs", &whole.row.id, &shots, &clips);

    let video = row.media(&["result"], is_video);
    let music = row.media(&["audio_blob"], is_audio);
    let thumbnail = whole.media.get(THUMBNAIL).filter(|held| is_image(held));
    let said = |key: &str| progress.get(key).and_then(Value::as_str).map(str::to_owned);
    let stood = match row.peek("status") {
        Some("completed") => Stood::Completed,
        Some("failed") => Stood::Failed(said("error").or_else(|| said("audio_error"))),
        Some("pending") | None => Stood::Waiting,
        Some(other) => Stood::Underway(other.to_owned()),
    };
    let named = ["video_model", "model"].iter().find_map(|key| parameters.get(key)?.as_str());
    let model = job::model(named);
    let (spec, runnable) = job::spec(
        model.clone(),
        parameters.get("aspect_ratio").and_then(Value::as_str),
        music.is_some(),
        &scenes,
    );
    let (state, error) = job::state(stood, video.is_some(), runnable);
    if row.peek("status") == Some(state.as_str()) {
        row.knows(&["status"]);
    }
    let times = row.times();
    let stage = said("stage").unwrap_or_default();
    let missing = scenes.iter().any(|scene| scene.state == SceneState::Failed);
    let percent =
        progress.get("percentage").and_then(Value::as_f64).unwrap_or_default().clamp(0.0, 100.0) as i16;
    let old = OldJob {
        kind: if whole.row.text("type") == Some("property_photos") {
            JobKind::PropertyPhotos
        } else {
            JobKind::ImagePairs
        },
        state,
        client_id: owner.client,
        campaign_id: owner.campaign,
        video_name: row.name(&["video_name"]).unwrap_or_else(|| "Untitled Video".to_owned()),
        parameters,
        spec,
        estimate: job::estimate(job::micros(row.real(&["estimated_cost"])), &model),
        progress_percent: if state == JobState::Completed { 100 } else { percent.min(99) },
        partial: state == JobState::Completed
            && (missing || stage.contains("partial") || stage.contains("with_failures")),
        error,
        video_digest: video.map(|held| held.digest.clone()),
        music_digest: music.map(|held| held.digest.clone()),
        thumbnail_digest: thumbnail.map(|held| held.digest.clone()),
        inserted_at: times.inserted,
        updated_at: times.updated,
        approved_at: if state == JobState::Failed && runnable {
            times.updated.or(times.inserted)
        } else {
            None
        },
        finished_at: if state.is_final() { times.updated } else { None },
        scenes,
        metrics: None,
    };
    let purchases = job::purchases(&clips, &model);
    let mut document = row.rest();
    // The picture is in the store.
    if whole.media.contains_key(THUMBNAIL) {
        let mut progress = progress;
        if let Some(progress) = progress.as_object_mut() {
            progress.remove("thumbnail");
        }
        document.insert("progress".to_owned(), progress);
    }
    Mapped {
        target: Target::Job {
            number: whole.row.id.parse::<i64>().ok().filter(|id| *id > 0),
            job: Box::new(old),
            purchases,
        },
        document,
        media_rows: whole
            .media
            .values()
            .chain(whole.children.iter().flat_map(|(_, media)| media.values()))
            .map(plain)
            .collect(),
        children,
    }
}

fn clip(source: &str, whole: &Whole) -> (Clip, Child) {
    let mut row = Reader::new(&whole.row, &whole.media);
    row.knows(&["id", "job_id"]);
    let clip = Clip {
        id: ids::uuid(source, "sub_jobs", &whole.row.id),
        status: row.text(&["status"]).unwrap_or_default(),
        digest: row.media(&["video_blob"], is_video).map(|held| held.digest.clone()),
        provider_id: row.text(&["provider_id"]),
        times: row.times(),
        ..Clip::default()
    };
    let child = Child { target: "scenes", id: clip.id.to_string(), document: row.rest() };
    (clip, child)
}
