//! What jobs of both systems have in common: shots and clips become scenes and purchases, and a job stands here as ended or as
//! waiting for approval, for none of our tasks works on it.

use super::reader::Reader;
use super::shot::Shot;
use super::{Whole, ids};
use crate::keep::Held;
use crate::owners::Owner;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use spool_db::import::accounts::Times;
use spool_db::import::jobs::OldScene;
use spool_db::import::purchases::OldPurchase;
use spool_job::catalog;
use spool_job::estimate::{Estimate, Line};
use spool_job::money::Micros;
use spool_job::prediction::Purpose;
use spool_job::spec::{JobSpec, OnMusicFailure, OnSceneFailure};
use spool_job::state::{JobState, SceneState};
use uuid::Uuid;

/// The words for how an imported job failed. They are kept: people filter by them.
pub(crate) const VIDEO_MISSING: &str = "import_video_missing";
pub(crate) const FAILED_BEFORE: &str = "import_failed_before";
pub(crate) const INTERRUPTED: &str = "import_interrupted";
pub(crate) const NOT_RUNNABLE: &str = "import_not_runnable";

/// The row's own words for its owner say no more than ours; words that name nobody here stay.
pub(crate) fn knows_owner(row: &mut Reader<'_>, source: &str, whole: &Whole, owner: Owner) {
    let is = |column, table, id: Option<Uuid>| {
        whole.row.key(column).is_some_and(|key| Some(ids::uuid(source, table, &key)) == id)
    };
    if is("campaign_id", "campaigns", owner.campaign) {
        row.knows(&["campaign_id"]);
    }
    if is("client_id", "clients", owner.client) {
        row.knows(&["client_id"]);
    }
}

/// A clip as the older system had it, or tried to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clip {
    pub(crate) id: Uuid,
    /// As it was called there.
    pub(crate) status: String,
    pub(crate) digest: Option<String>,
    pub(crate) provider_id: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) input: Option<Value>,
    pub(crate) output_url: Option<String>,
    pub(crate) seconds: Option<f64>,
    pub(crate) estimate: Micros,
    pub(crate) cost: Micros,
    pub(crate) error: Option<String>,
    pub(crate) photos: Vec<Uuid>,
    pub(crate) started: Option<DateTime<Utc>>,
    pub(crate) finished: Option<DateTime<Utc>>,
    pub(crate) times: Times,
}

/// Scenes in order: the k-th shot and the k-th clip are one. `key` is the job's, for shots that never had an id.
pub(crate) fn scenes(source: &str, table: &str, key: &str, shots: &[Shot], clips: &[Clip]) -> Vec<OldScene> {
    let nothing = Shot::default();
    let count = shots.len().max(clips.len());
    let scene = |index: usize| {
        let (shot, clip) = (shots.get(index).unwrap_or(&nothing), clips.get(index));
        let title = shot.title.clone().unwrap_or_else(|| format!("Scene {}", index + 1));
        let photos = if shot.photos.is_empty() {
            clip.map(|clip| clip.photos.as_slice()).unwrap_or_default()
        } else {
            &shot.photos
        };
        let digest = clip.and_then(|clip| clip.digest.clone());
        let (state, error) = match clip {
            _ if digest.is_some() => (SceneState::Completed, None),
            Some(clip) if clip.status == "completed" => {
                (SceneState::Failed, Some("its clip was not kept by the older system".to_owned()))
            }
            Some(clip) if clip.status == "failed" => {
                let said = clip
                    .error
                    .clone()
                    .unwrap_or_else(|| "it failed in the older system, which did not say why".to_owned());
                (SceneState::Failed, Some(said))
            }
            Some(clip) if clip.status == "processing" => (
                SceneState::Failed,
                Some("it was being rendered by the older system when it was imported".to_owned()),
            ),
            _ => (SceneState::Pending, None),
        };
        OldScene {
            id: clip.map_or_else(
                || ids::derived(&[source, table, key, "scene", &index.to_string()]),
                |clip| clip.id,
            ),
            prompt: shot.prompt.clone().unwrap_or_else(|| title.clone()),
            title,
            description: shot.description.clone().unwrap_or_default(),
            scene_type: shot.scene_type.clone(),
            music_prompt: shot.music_prompt.clone().unwrap_or_default(),
            duration_ms: shot
                .duration_ms
                .or_else(|| super::shot::milliseconds(clip?.seconds?))
                .unwrap_or_else(|| shot.milliseconds()),
            first_asset_id: photos.first().copied().unwrap_or(Uuid::nil()),
            last_asset_id: photos.get(1).copied(),
            state,
            clip_digest: digest,
            error,
            inserted_at: clip.and_then(|clip| clip.times.inserted),
            updated_at: clip.and_then(|clip| clip.times.updated),
        }
    };
    (0..count).map(scene).collect()
}

/// The paid calls behind the clips. A clip without a provider's id gets one of ours, so that it is not bought again.
pub(crate) fn purchases(clips: &[Clip], model: &str) -> Vec<(Uuid, OldPurchase)> {
    let made = clips
        .iter()
        .filter(|clip| clip.provider_id.is_some() || clip.digest.is_some() || clip.cost > Micros::ZERO);
    made.map(|clip| {
        let old = OldPurchase {
            scene_id: Some(clip.id),
            model: clip.model.clone().unwrap_or_else(|| model.to_owned()),
            input: clip.input.clone().unwrap_or_else(|| nothing_known(clip.id)),
            external_id: clip.provider_id.clone().unwrap_or_else(|| format!("imported-{}", clip.id)),
            output_url: clip.output_url.clone(),
            output_digest: clip.digest.clone(),
            seconds: clip.seconds,
            estimate: clip.estimate,
            cost: clip.cost,
            error: clip.error.clone(),
            started_at: clip.started.or(clip.times.inserted),
            finished_at: clip.finished.or(clip.times.updated),
        };
        (ids::derived(&["purchase", &clip.id.to_string()]), old)
    })
    .collect()
}

/// The input of a purchase of which none was kept. No two are the same, or the second would count as bought twice.
pub(crate) fn nothing_known(id: Uuid) -> Value {
    json!({ "imported": id })
}

/// Dollars of the older systems, which kept them as floating point.
pub(crate) fn micros(dollars: Option<f64>) -> Micros {
    Micros(
        dollars
            .filter(|dollars| (0.0..1e9).contains(dollars))
            .map_or(0, |dollars| (dollars * 1e6).round() as i64),
    )
}

/// One line: the older systems kept no arithmetic.
pub(crate) fn estimate(total: Micros, model: &str) -> Estimate {
    let line = Line {
        item: "as estimated by the older system".to_owned(),
        quantity: 1.0,
        unit: "job".to_owned(),
        unit_micros: total,
        micros: total,
        model: model.to_owned(),
        learned_p95_micros: None,
    };
    Estimate { total_micros: total, lines: vec![line], learned_p95_micros: None }
}

/// The model's name in our catalogue; one that is not in it stays as it was called.
pub(crate) fn model(named: Option<&str>) -> String {
    let named = named.unwrap_or("google/veo-3.1");
    catalog::find(named, Purpose::Render).map_or_else(|_| named.to_owned(), |model| model.slug.clone())
}

/// What to make should it be tried again, and whether it could be: every scene has a photo and a length that the model makes.
pub(crate) fn spec(model: String, aspect: Option<&str>, music: bool, scenes: &[OldScene]) -> (JobSpec, bool) {
    let mut spec = JobSpec {
        model,
        resolution: "1080p".to_owned(),
        aspect: aspect.unwrap_or("16:9").to_owned(),
        audio: false,
        music,
        music_fade_ms: spool_job::spec::USUAL_FADE_MS,
        reuse: true,
        on_scene_failure: OnSceneFailure::Fail,
        on_music_failure: OnMusicFailure::ContinueWithSilence,
    };
    let fits = |spec: &JobSpec| {
        !scenes.is_empty()
            && scenes.iter().all(|scene| {
                !scene.first_asset_id.is_nil() && spec.check(scene.duration_ms.unsigned_abs()).is_ok()
            })
    };
    for resolution in ["1080p", "768p", "720p"] {
        resolution.clone_into(&mut spec.resolution);
        if fits(&spec) {
            return (spec, true);
        }
    }
    "1080p".clone_into(&mut spec.resolution);
    (spec, false)
}

/// Where the older system had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stood {
    Waiting,
    Completed,
    Failed(Option<String>),
    Canceled,
    /// Anything between; as it was called.
    Underway(String),
}

/// Where it stands here, and why it failed if it did.
pub(crate) fn state(
    stood: Stood,
    has_video: bool,
    runnable: bool,
) -> (JobState, Option<(&'static str, String)>) {
    let failed = |code, why: String| (JobState::Failed, Some((code, why)));
    match stood {
        Stood::Completed if has_video => (JobState::Completed, None),
        Stood::Completed => {
            failed(VIDEO_MISSING, "the older system called it completed but kept no video of it".to_owned())
        }
        Stood::Failed(Some(said)) => failed(FAILED_BEFORE, said),
        Stood::Failed(None) => {
            failed(FAILED_BEFORE, "it failed in the older system, which did not say why".to_owned())
        }
        Stood::Canceled => (JobState::Canceled, None),
        Stood::Waiting if runnable => (JobState::Pending, None),
        Stood::Waiting => {
            let why =
                "its storyboard names no photos, or lengths that its model does not make: create it again";
            failed(NOT_RUNNABLE, why.to_owned())
        }
        Stood::Underway(status) => failed(
            INTERRUPTED,
            format!("the older system had it as {status} when it was imported; a retry makes it again"),
        ),
    }
}

pub(crate) fn is_video(held: &Held) -> bool {
    held.kind.is_some_and(|kind| kind.kind.as_str() == "video")
}

pub(crate) fn is_audio(held: &Held) -> bool {
    held.kind.is_some_and(|kind| kind.kind.as_str() == "audio")
}

pub(crate) fn is_image(held: &Held) -> bool {
    held.kind.is_some_and(|kind| kind.kind.as_str() == "image")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_ends_or_waits_for_approval() {
        let code = |stood, video, runnable| {
            let (state, error) = state(stood, video, runnable);
            assert_eq!(state == JobState::Failed, error.is_some());
            (state, error.map(|(code, _)| code))
        };
        assert_eq!(code(Stood::Completed, true, false), (JobState::Completed, None));
        assert_eq!(code(Stood::Completed, false, true), (JobState::Failed, Some(VIDEO_MISSING)));
        assert_eq!(code(Stood::Failed(None), true, true), (JobState::Failed, Some(FAILED_BEFORE)));
        assert_eq!(code(Stood::Canceled, false, false), (JobState::Canceled, None));
        assert_eq!(code(Stood::Waiting, false, true), (JobState::Pending, None));
        assert_eq!(code(Stood::Waiting, false, false), (JobState::Failed, Some(NOT_RUNNABLE)));
        assert_eq!(
            code(Stood::Underway("processing".into()), true, true),
            (JobState::Failed, Some(INTERRUPTED))
        );
    }

    #[test]
    fn dollars_become_micros_without_surprises() {
        for (dollars, expected) in [
            (Some(3.2), 3_200_000),
            (Some(0.1 + 0.2), 300_000),
            (Some(-1.0), 0),
            (Some(f64::NAN), 0),
            (None, 0),
        ] {
            assert_eq!(micros(dollars), Micros(expected), "{dollars:?}");
        }
    }

    #[test]
    fn a_model_that_is_not_ours_keeps_its_name() {
        assert_eq!(model(Some("veo3")), "google/veo-3.1");
        assert_eq!(model(Some("skyreels-2")), "skyreels-2");
        assert_eq!(model(None), "google/veo-3.1");
    }
}
