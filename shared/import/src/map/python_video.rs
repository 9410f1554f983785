//! A row of `generated_videos` of the Python system: a job, a film made by one call, or an uploaded one.

use super::asset::plain;
use super::job::{self, Clip, Stood, is_image, is_video};
use super::reader::Reader;
use super::shot::{self, Shot};
use super::{Child, Mapped, Target, Whole, ids};
use crate::keep::Held;
use crate::owners::Owner;
use crate::source::row::Row;
use serde_json::{Value, json};
use spool_db::import::jobs::{Metrics, OldJob};
use spool_db::import::purchases::OldPurchase;
use spool_job::money::Micros;
use spool_job::spec::JobKind;
use spool_job::state::{JobState, SceneState};
use uuid::Uuid;

/// Rows of a job's shots and of its clips.
pub(crate) const SHOTS: &str = "job_scenes";
pub(crate) const CLIPS: &str = "video_sub_jobs";
const VIDEO: &[&str] = &["video_data", "video_blob_id", "file_path", "video_url"];
/// Longest name made from a prompt, in characters.
const LONGEST_MADE_NAME: usize = 80;

pub(crate) fn video(source: &str, whole: &Whole, owner: Owner, may_wait: bool) -> Mapped {
    let mut row = Reader::new(&whole.row, &whole.media);
    row.knows(&["id"]);
    let video = row.media(VIDEO, is_video);
    let status = whole.row.text("status").unwrap_or("pending").to_owned();
    if may_wait && video.is_none() && status == "completed" && whole.row.text("video_url").is_some() {
        let why = "its video is not in this file: name the folder of the older system's files (--files), or fetch addresses (--fetch)";
        return Mapped::only(Target::Waiting(why.to_owned()), row.rest());
    }
    job::knows_owner(&mut row, source, whole, owner);
    let parameters = row.object(&["parameters"]).unwrap_or_else(|| json!({}));
    let named = whole.row.text("model_id").or_else(|| {
        ["video_model", "videoModel", "model"].iter().find_map(|key| parameters.get(key)?.as_str())
    });
    let model = job::model(named);
    let cost = job::micros(row.real(&["actual_cost"]));

    let mut shots: Vec<Shot> = whole
        .children
        .iter()
        .filter(|(child, _)| child.table == SHOTS)
        .map(|(child, _)| shot::of_row(source, child))
        .collect();
    let storyboard = whole.row.json("storyboard_data").or_else(|| parameters.get("storyboard").cloned());
    if shots.is_empty() {
        shots = storyboard.map(|storyboard| shot::of_storyboard(source, &storyboard)).unwrap_or_default();
    }
    let mut clips: Vec<Clip> = whole
        .children
        .iter()
        .filter(|(child, _)| child.table == CLIPS)
        .map(|(row, media)| clip(source, row, media))
        .collect();
    // Kept where nothing else has an id: a shot's own.
    let rows_of_shots: Vec<&Row> =
        whole.children.iter().map(|(child, _)| child).filter(|child| child.table == SHOTS).collect();
    if clips.is_empty()
        && shots.is_empty()
        && let Some(prompt) = whole.row.text("prompt")
    {
        row.knows(&["prompt"]);
        shots.push(Shot { prompt: Some(crate::source::row::clean(prompt)), ..Shot::default() });
        clips.push(single(source, whole, video, &parameters, cost, &status));
    }
    let bought_apart = clips.iter().any(|clip| clip.cost > Micros::ZERO);
    let mut scenes = job::scenes(source, "generated_videos", &whole.row.id, &shots, &clips);
    for (scene, child) in scenes.iter_mut().zip(&rows_of_shots).skip(clips.len()) {
        scene.id = ids::uuid(source, SHOTS, &child.id);
    }

    let stood = stood(&mut row, &status);
    let aspect = row.text(&["format"]).or_else(|| Some(parameters.get("aspect_ratio")?.as_str()?.to_owned()));
    let music =
        ["generate_audio", "generateAudio"].iter().any(|key| parameters.get(key) == Some(&json!(true)));
    let (spec, runnable) = job::spec(model.clone(), aspect.as_deref(), music, &scenes);
    let (state, error) = job::state(stood, video.is_some(), runnable);
    if status == state.as_str() {
        row.knows(&["status"]);
    }
    let approved = row.time(&["approved_at"]);
    let finished = row.time(&["completed_at"]);
    let times = row.times();
    let has = |keys: &[&str]| keys.iter().any(|key| parameters.get(key).is_some());
    let kind = if has(&["property_types", "propertyInfo", "property_info", "photos"]) {
        JobKind::PropertyPhotos
    } else if scenes.iter().any(|scene| !scene.first_asset_id.is_nil()) {
        JobKind::ImagePairs
    } else {
        JobKind::Prompt
    };
    let made_of_parts = whole.children.iter().any(|(child, _)| child.table == CLIPS);
    let mut purchases = job::purchases(&clips, &model);
    if cost > Micros::ZERO && !bought_apart {
        purchases.push(as_a_whole(source, whole, &model, cost, video, times));
    }
    let old = OldJob {
        kind,
        state,
        client_id: owner.client,
        campaign_id: owner.campaign,
        video_name: video_name(&mut row, whole, &parameters),
        spec,
        estimate: job::estimate(job::micros(row.real(&["estimated_cost"])), &model),
        progress_percent: if state == JobState::Completed { 100 } else { 0 },
        partial: state == JobState::Completed
            && made_of_parts
            && scenes.iter().any(|scene| scene.state == SceneState::Failed),
        error,
        video_digest: video.map(|held| held.digest.clone()),
        music_digest: None,
        thumbnail_digest: row
            .media(&["thumbnail_data", "thumbnail_blob_id", "thumbnail_url"], is_image)
            .map(|held| held.digest.clone()),
        inserted_at: times.inserted,
        updated_at: times.updated,
        approved_at: if state == JobState::Failed && runnable {
            approved.or(times.updated).or(times.inserted)
        } else {
            None
        },
        finished_at: if state.is_final() { finished.or(times.updated) } else { None },
        metrics: metrics(&mut row),
        parameters,
        scenes,
    };
    let children = children(source, whole, &old);
    Mapped {
        target: Target::Job {
            number: whole.row.id.parse::<i64>().ok().filter(|id| *id > 0),
            job: Box::new(old),
            purchases,
        },
        document: row.rest(),
        media_rows: whole
            .media
            .values()
            .chain(whole.children.iter().flat_map(|(_, media)| media.values()))
            .map(plain)
            .collect(),
        children,
    }
}

fn stood(row: &mut Reader<'_>, status: &str) -> Stood {
    match status {
        "completed" => Stood::Completed,
        "failed" | "timeout" | "error" => Stood::Failed(row.text(&["error_message", "download_error"])),
        "canceled" | "cancelled" => Stood::Canceled,
        "pending" | "storyboard_ready" if row.integer(&["approved"]) != Some(1) => Stood::Waiting,
        other => Stood::Underway(other.to_owned()),
    }
}

/// The one clip of a film that was made by one call: the film itself.
fn single(
    source: &str,
    whole: &Whole,
    video: Option<&Held>,
    parameters: &Value,
    cost: Micros,
    status: &str,
) -> Clip {
    let metadata = whole.row.json("metadata").unwrap_or_else(|| json!({}));
    let id = ["replicate_id", "prediction_id", "replicate_prediction_id"]
        .iter()
        .find_map(|key| metadata.get(key)?.as_str());
    let mut row = Reader::new(&whole.row, &whole.media);
    Clip {
        id: ids::derived(&[source, "generated_videos", &whole.row.id, "scene", "0"]),
        status: status.to_owned(),
        digest: video.map(|held| held.digest.clone()),
        provider_id: id.map(str::to_owned),
        input: Some(parameters.clone()),
        output_url: row.text(&["video_url"]),
        seconds: parameters.get("duration").and_then(Value::as_f64),
        estimate: job::micros(row.real(&["estimated_cost"])),
        cost,
        error: row.text(&["error_message"]),
        times: row.times(),
        ..Clip::default()
    }
}

fn clip(source: &str, row: &Row, media: &crate::keep::Media) -> Clip {
    let mut row_reader = Reader::new(row, media);
    let photo = |column: &str| row.key(column).map(|key| ids::uuid(source, "assets", &key));
    Clip {
        id: ids::uuid(source, CLIPS, &row.id),
        status: row_reader.text(&["status"]).unwrap_or_default(),
        digest: row_reader
            .media(&["video_data", "video_blob_id", "video_url"], is_video)
            .map(|held| held.digest.clone()),
        provider_id: row_reader.text(&["replicate_prediction_id"]),
        model: row_reader.text(&["model_id"]).map(|named| job::model(Some(&named))),
        input: row_reader.json(&["input_parameters"]),
        output_url: row_reader.text(&["video_url"]),
        seconds: row_reader.real(&["duration_seconds"]),
        estimate: job::micros(row_reader.real(&["estimated_cost"])),
        cost: job::micros(row_reader.real(&["actual_cost"])),
        error: row_reader.text(&["error_message"]),
        photos: photo("image1_asset_id").into_iter().chain(photo("image2_asset_id")).collect(),
        started: row_reader.time(&["started_at"]),
        finished: row_reader.time(&["completed_at"]),
        times: row_reader.times(),
    }
}

/// What a job cost of which the parts are not known.
fn as_a_whole(
    source: &str,
    whole: &Whole,
    model: &str,
    cost: Micros,
    video: Option<&Held>,
    times: spool_db::import::accounts::Times,
) -> (Uuid, OldPurchase) {
    let id = ids::derived(&["purchase", source, "generated_videos", &whole.row.id]);
    let old = OldPurchase {
        scene_id: None,
        model: model.to_owned(),
        input: job::nothing_known(id),
        external_id: format!("imported-{id}"),
        output_url: None,
        output_digest: video.map(|held| held.digest.clone()),
        seconds: None,
        estimate: cost,
        cost,
        error: video.is_none().then(|| "the older system kept no video of it".to_owned()),
        started_at: times.inserted,
        finished_at: times.updated,
    };
    (id, old)
}

fn video_name(row: &mut Reader<'_>, whole: &Whole, parameters: &Value) -> String {
    let given =
        ["video_name", "videoName", "name", "title"].iter().find_map(|key| parameters.get(key)?.as_str());
    let short = |text: &str| text.trim().chars().take(LONGEST_MADE_NAME).collect::<String>();
    row.name(&["video_name", "name", "title"])
        .or_else(|| given.map(short))
        .or_else(|| whole.row.text("prompt").map(short))
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| format!("Video {}", whole.row.id))
}

fn metrics(row: &mut Reader<'_>) -> Option<Metrics> {
    let mut count = |name| row.integer(&[name]).filter(|count| *count >= 0);
    let (views, clicks, conversions) = (count("views"), count("clicks"), count("conversions"));
    let ctr = row.real(&["ctr"]).filter(|ctr| (0.0..=1.0).contains(ctr));
    let metrics = Metrics { views, clicks, ctr, conversions };
    let says_something =
        [views, clicks, conversions].iter().any(|count| count.is_some_and(|count| count > 0))
            || ctr.is_some_and(|ctr| ctr > 0.0);
    says_something.then_some(metrics)
}

/// The rows of shots and clips: each went into the scene of its place.
fn children(source: &str, whole: &Whole, old: &OldJob) -> Vec<Child> {
    let (mut shots, mut clips) = (0, 0);
    let child = |(row, media): &(Row, crate::keep::Media)| {
        let mut reader = Reader::new(row, media);
        reader.knows(&["id", "job_id"]);
        let (place, taken): (&mut usize, &[&str]) = if row.table == SHOTS {
            (&mut shots, &["scene_number", "duration_seconds", "description", "shot_type"])
        } else {
            (
                &mut clips,
                &[
                    "sub_job_number",
                    "image1_asset_id",
                    "image2_asset_id",
                    "replicate_prediction_id",
                    "input_parameters",
                    "status",
                    "video_url",
                    "video_blob_id",
                    "video_data",
                    "duration_seconds",
                    "estimated_cost",
                    "actual_cost",
                    "error_message",
                    "started_at",
                    "completed_at",
                    "created_at",
                    "updated_at",
                ],
            )
        };
        reader.knows(taken);
        let scene = old.scenes.get(*place);
        *place += 1;
        let id = scene.map_or_else(|| ids::uuid(source, &row.table, &row.id), |scene| scene.id);
        Child { target: "scenes", id: id.to_string(), document: reader.rest() }
    };
    whole.children.iter().map(child).collect()
}
