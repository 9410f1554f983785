//! The tasks of a job: their payloads (ids only), their queues, and the DAG that approval inserts.
//!
//! Each payload names the request that it was enqueued for, where there was one: [`Origin`].

use crate::origin::Origin;
use crate::spec::{OnMusicFailure, OnSceneFailure};
use crate::state::text_enum;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

text_enum! {
    /// A kind of task; its name is the file of the step that does it, the metric label and the log field.
    TaskKind {
        /// Buy a scene's clip and wait for it.
        Render = "render",
        /// Buy a stretch of music and wait for it.
        Music = "music",
        /// Bring a prediction's output home before it vanishes.
        Collect = "collect",
        /// Look after a prediction that nobody wants any more: call it off and book what it cost.
        Recall = "recall",
        /// Look for predictions at the provider that no row knows.
        Orphans = "orphans",
        /// Join the clips.
        Stitch = "stitch",
        /// Put the soundtrack under them.
        Mix = "mix",
        /// Check and store the video and its thumbnail.
        Verify = "verify",
        /// Conclude the job, one way or the other.
        Close = "close",
        /// Tell an endpoint of a caller what has happened.
        Deliver = "deliver",
        /// Keep the log of what was told: drop what is old, and send on its way again what has lost its task.
        HookLog = "hook_log",
    }
}

/// Version of the payloads below.
pub const PAYLOAD_VERSION: i16 = 1;

/// The group all tasks of a job share in the queue.
pub fn group_key(job_id: i64) -> String {
    format!("job/{job_id}")
}

impl TaskKind {
    /// The queue it runs in: waiting kinds share many slots, CPU kinds have one per core.
    pub const fn queue(self) -> &'static str {
        match self {
            Self::Render | Self::Music | Self::Recall => "predict",
            Self::Collect => "collect",
            Self::Stitch | Self::Mix | Self::Verify => "ffmpeg",
            Self::Close | Self::Orphans | Self::HookLog => "light",
            Self::Deliver => "hooks",
        }
    }
}

/// Payload of `render`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenderTask {
    /// The job.
    pub job_id: i64,
    /// The scene.
    pub scene_id: Uuid,
    /// The scene's version when it was approved.
    pub scene_version: i32,
    /// On whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// Payload of `music`: the stretch under scene `ordinal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MusicTask {
    /// The job.
    pub job_id: i64,
    /// Scene index it lies under.
    pub ordinal: i32,
    /// On whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// Payload of `collect`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectTask {
    /// The job.
    pub job_id: i64,
    /// Whose output to bring home.
    pub prediction_id: Uuid,
    /// On whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// Payload of `recall`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecallTask {
    /// The job.
    pub job_id: i64,
    /// What to call off.
    pub prediction_id: Uuid,
    /// On whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// Payload of `stitch`, `mix`, `verify` and `close`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTask {
    /// The job.
    pub job_id: i64,
    /// On whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// What log lines and traces say of any payload.
pub trait Concerns {
    /// The job.
    fn job_id(&self) -> Option<i64>;
    /// The request that it was enqueued for.
    fn origin(&self) -> Option<&Origin>;
}

macro_rules! concerns {
    ($($payload:ty),+) => {$(
        impl Concerns for $payload {
            fn job_id(&self) -> Option<i64> {
                Some(self.job_id)
            }

            fn origin(&self) -> Option<&Origin> {
                self.origin.as_ref()
            }
        }
    )+};
}

concerns!(RenderTask, MusicTask, CollectTask, RecallTask, JobTask);

/// A task of no job.
impl Concerns for () {
    fn job_id(&self) -> Option<i64> {
        None
    }

    fn origin(&self) -> Option<&Origin> {
        None
    }
}

/// Payload of `deliver`. Migration 0015 writes it, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliverTask {
    /// What to tell to whom.
    pub delivery_id: Uuid,
}

/// Its row says which event of which job it tells of.
impl Concerns for DeliverTask {
    fn job_id(&self) -> Option<i64> {
        None
    }

    fn origin(&self) -> Option<&Origin> {
        None
    }
}

/// The group that all deliveries of an endpoint share in the queue.
pub fn hook_group_key(endpoint_id: Uuid) -> String {
    format!("hook/{endpoint_id}")
}

/// Any payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Payload {
    /// For `render`.
    Render(RenderTask),
    /// For `music`.
    Music(MusicTask),
    /// For the kinds that concern the whole job.
    Job(JobTask),
}

/// What a parent's failure does to a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The child is canceled too.
    Cancel,
    /// The child runs all the same.
    Run,
}

/// A task to insert; `after` names earlier entries of the same plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTask {
    /// What it does.
    pub kind: TaskKind,
    /// With which ids.
    pub payload: Payload,
    /// Unique while it is live: approving twice cannot insert a second one.
    pub key: String,
    /// What it waits for.
    pub after: Vec<(usize, OnFailure)>,
}

/// What the DAG depends on.
#[derive(Debug, Clone)]
pub struct Approved<'a> {
    /// The job.
    pub job_id: i64,
    /// Its revision.
    pub revision: i32,
    /// Scene ids and versions in order.
    pub scenes: &'a [(Uuid, i32)],
    /// Whether there is a soundtrack.
    pub music: bool,
    /// What one failed scene does.
    pub on_scene_failure: OnSceneFailure,
    /// What failed music does.
    pub on_music_failure: OnMusicFailure,
    /// The request that asks for it.
    pub origin: Option<&'a Origin>,
}

/// The DAG of an approved job: every scene's render (whose collect is added when it succeeds) and the
/// chain of music in parallel, then stitch, mix, verify; `close` waits for all of them, whatever
/// became of them, so that nothing of a final job runs any more.
pub fn plan(job: &Approved<'_>) -> Vec<PlannedTask> {
    let mut tasks = Vec::with_capacity(job.scenes.len() * 2 + 4);
    let mut push = |kind: TaskKind, payload: Payload, what: &str, after: Vec<(usize, OnFailure)>| {
        let key = format!("{}/{}/{kind}{what}", group_key(job.job_id), job.revision);
        tasks.push(PlannedTask { kind, payload, key, after });
        tasks.len() - 1
    };
    let origin = job.origin.cloned();
    let job_payload = || Payload::Job(JobTask { job_id: job.job_id, origin: origin.clone() });
    let scene_edge = match job.on_scene_failure {
        OnSceneFailure::Fail => OnFailure::Cancel,
        OnSceneFailure::Skip => OnFailure::Run,
    };
    let music_edge = match job.on_music_failure {
        OnMusicFailure::ContinueWithSilence => OnFailure::Run,
        OnMusicFailure::Halt => OnFailure::Cancel,
    };

    let renders: Vec<usize> = job
        .scenes
        .iter()
        .map(|(scene_id, scene_version)| {
            let payload = RenderTask {
                job_id: job.job_id,
                scene_id: *scene_id,
                scene_version: *scene_version,
                origin: origin.clone(),
            };
            push(TaskKind::Render, Payload::Render(payload), &format!("/{scene_id}"), vec![])
        })
        .collect();
    let mut music: Vec<usize> = Vec::new();
    if job.music {
        for ordinal in 0..job.scenes.len() as i32 {
            let payload = Payload::Music(MusicTask { job_id: job.job_id, ordinal, origin: origin.clone() });
            let after = music.last().map(|before| (*before, OnFailure::Cancel)).into_iter().collect();
            music.push(push(TaskKind::Music, payload, &format!("/{ordinal}"), after));
        }
    }
    let stitch =
        push(TaskKind::Stitch, job_payload(), "", renders.iter().map(|r| (*r, scene_edge)).collect());
    let mut before_mix = vec![(stitch, OnFailure::Cancel)];
    before_mix.extend(music.last().map(|last| (*last, music_edge)));
    let mix = push(TaskKind::Mix, job_payload(), "", before_mix);
    let verify = push(TaskKind::Verify, job_payload(), "", vec![(mix, OnFailure::Cancel)]);
    let everything = renders.iter().chain(&music).chain([&stitch, &mix, &verify]);
    let before_close = everything.map(|task| (*task, OnFailure::Run)).collect();
    push(TaskKind::Close, job_payload(), "", before_close);
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_plan_is_a_dag_that_ends_in_close(scenes in 1usize..9, music: bool, skip: bool, halt: bool) {
            let scenes: Vec<(Uuid, i32)> = (0..scenes).map(|i| (Uuid::from_u128(i as u128), 1)).collect();
            let tasks = plan(&Approved {
                job_id: 7,
                revision: 1,
                scenes: &scenes,
                music,
                on_scene_failure: if skip { OnSceneFailure::Skip } else { OnSceneFailure::Fail },
                on_music_failure: if halt { OnMusicFailure::Halt } else { OnMusicFailure::ContinueWithSilence },
                origin: None,
            });
            for (index, task) in tasks.iter().enumerate() {
                prop_assert!(task.after.iter().all(|(parent, _)| *parent < index));
            }
            let close = tasks.last().unwrap();
            prop_assert_eq!(close.kind, TaskKind::Close);
            prop_assert_eq!(close.after.len(), tasks.len() - 1, "close outlives everything");
            prop_assert!(close.after.iter().all(|(_, policy)| *policy == OnFailure::Run));
            let mut keys: Vec<&str> = tasks.iter().map(|t| t.key.as_str()).collect();
            keys.sort_unstable();
            keys.dedup();
            prop_assert_eq!(keys.len(), tasks.len());
            prop_assert_eq!(tasks.iter().filter(|t| t.kind == TaskKind::Music).count(), if music { scenes.len() } else { 0 });
        }
    }
}
