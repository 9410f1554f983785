//! A job to be: what it is made of, and the answer to whoever asks for it.

use crate::audit::Change;
use crate::idempotency::Use;
use crate::jobs::JobRow;
use crate::ledger::JobMoney;
use crate::scenes::SceneRow;
use chrono::{DateTime, Utc};
use serde_json::Value;
use spool_job::estimate::Estimate;
use spool_job::spec::{JobKind, JobSpec};
use spool_job::state::{JobState, SceneState};
use spool_job::storyboard::{PlannedScene, Storyboard};
use uuid::Uuid;

/// Where a job with a storyboard stands until somebody approves it.
pub(crate) const FIRST_STAGE: &str = "storyboard_ready";

/// A job to be.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// How it came to be.
    pub kind: JobKind,
    /// Whose photos.
    pub campaign_id: Uuid,
    /// The caller's parameters, as given.
    pub parameters: Value,
    /// What to make.
    pub spec: JobSpec,
    /// Shot by shot.
    pub storyboard: Storyboard,
    /// What it will cost.
    pub estimate: Estimate,
    /// Id of the API key that asked.
    pub created_by: Option<String>,
}

/// A job that has come to be, as a reader would find it.
#[derive(Debug)]
pub struct NewRows {
    /// The job.
    pub job: JobRow,
    /// Its scenes in order.
    pub scenes: Vec<SceneRow>,
}

/// A job to write, with all that commits with it.
#[derive(Debug)]
pub struct Order {
    /// The job.
    pub job: NewJob,
    /// The idempotency key that it is asked for with.
    pub key: Option<Use>,
    /// Who asks; the id of the job is added.
    pub change: Option<Change>,
    /// The mark of the material that the storyboard was made from, where that was kept: when there is another by now, it is as if there
    /// were no such campaign.
    pub mark: Option<i64>,
    pub(crate) scene_ids: Vec<Uuid>,
    pub(crate) answer: Option<Answer>,
}

/// An answer with stand-ins for what only the database can say, which puts the truth in their place when it writes the job: so the answer
/// is kept under its key by the statement that makes it true. Nothing else in an answer is like them, as nobody can guess them.
#[derive(Debug)]
pub(crate) struct Answer {
    /// JSON.
    pub(crate) text: String,
    /// Stands for the id of the job.
    pub(crate) id: i64,
    /// Stands for the name of its video, in a string.
    pub(crate) video_name: String,
}

impl Order {
    /// A job that nobody is answered.
    pub fn new(job: NewJob) -> Self {
        let scene_ids = job.storyboard.scenes.iter().map(|_| Uuid::now_v7()).collect();
        Self { job, key: None, change: None, mark: None, scene_ids, answer: None }
    }

    /// With an answer, made from rows in which stand-ins take the place of the job's id and its video's name. The times in them mean
    /// nothing. `client_id` is the one of the campaign.
    ///
    /// # Errors
    /// Those of `answer`.
    pub fn answered<E>(
        mut self,
        client_id: Uuid,
        answer: impl FnOnce(NewRows) -> Result<String, E>,
    ) -> Result<Self, E> {
        // Nobody can guess it, and it has as many digits whatever it is.
        let id = (Uuid::now_v7().as_u64_pair().1 >> 1).cast_signed();
        let video_name = Uuid::now_v7().to_string();
        let client_id = Some(client_id);
        let made = Made { id, client_id, video_name: video_name.clone(), at: DateTime::UNIX_EPOCH };
        let text = answer(self.rows(made))?;
        self.answer = Some(Answer { text, id, video_name });
        Ok(self)
    }

    /// As a reader would find it, once it is made.
    pub fn rows(&self, made: Made) -> NewRows {
        NewRows { scenes: made.scenes(&self.scene_ids, &self.job.storyboard), job: made.job(&self.job) }
    }

    /// Whether a second try of what may have been carried out cannot double it: its key tells, or its scenes are there already
    /// ([`SCENE_IS_THERE`]).
    pub fn may_come_again(&self) -> bool {
        self.key.is_some() || !self.scene_ids.is_empty()
    }
}

/// The constraint that stops an order without a key from being carried out twice.
pub const SCENE_IS_THERE: &str = "scenes_pkey";

/// What only the database can say.
#[derive(Debug)]
pub struct Made {
    /// Of the job.
    pub id: i64,
    /// Whose campaign.
    pub client_id: Option<Uuid>,
    /// The campaign's name and a number.
    pub video_name: String,
    /// When, by the database's clock.
    pub at: DateTime<Utc>,
}

impl Made {
    fn scenes(&self, ids: &[Uuid], storyboard: &Storyboard) -> Vec<SceneRow> {
        let scene = |(index, (id, scene)): (usize, (&Uuid, &PlannedScene))| SceneRow {
            id: *id,
            job_id: self.id,
            index: index as i32,
            version: 1,
            title: scene.title.clone(),
            description: scene.description.clone(),
            scene_type: scene.scene_type.clone(),
            prompt: scene.prompt.clone(),
            music_prompt: scene.music_prompt.clone(),
            duration_ms: scene.duration_ms as i32,
            first_asset_id: scene.first_asset_id,
            last_asset_id: scene.last_asset_id,
            state: SceneState::Pending.as_str().to_owned(),
            clip_digest: None,
            clip_bytes: None,
            error: None,
            fresh: false,
            provider_id: None,
            reused_from: None,
            inserted_at: self.at,
            updated_at: self.at,
        };
        ids.iter().zip(&storyboard.scenes).enumerate().map(scene).collect()
    }

    fn job(self, new: &NewJob) -> JobRow {
        JobRow {
            id: self.id,
            kind: new.kind.as_str().to_owned(),
            state: JobState::Pending,
            revision: 1,
            version: 1,
            client_id: self.client_id,
            campaign_id: Some(new.campaign_id),
            video_name: self.video_name,
            parameters: new.parameters.clone(),
            spec: new.spec.clone(),
            estimate: new.estimate.clone(),
            money: JobMoney::default(),
            progress_percent: 0,
            stage: FIRST_STAGE.to_owned(),
            parked: None,
            parked_why: None,
            parked_until: None,
            partial: false,
            error_code: None,
            error: None,
            clips_digest: None,
            video_digest: None,
            thumbnail_digest: None,
            inserted_at: self.at,
            updated_at: self.at,
            approved_at: None,
            finished_at: None,
        }
    }
}
