//! The one way a job comes to be from photos, whatever route asked for it: plan, estimate, insert and, with `auto_approve`, start.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json};
use spool_db::budgets::Standing;
use spool_db::job_creation::{self, NewJob, NewRows, Order};
use spool_db::jobs::JobRow;
use spool_db::material::Material;
use spool_db::scenes::SceneRow;
use spool_db::{assets, jobs};
use spool_job::estimate::{self, Estimate};
use spool_job::photo::Photo;
use spool_job::planner::{Direction, PlanError};
use spool_job::spec::JobKind;
use spool_job::storyboard::Storyboard;
use uuid::Uuid;

use super::request::{Film, field_of};
use crate::approval;
use crate::audit;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::{ApiError, Code};
use crate::group_commit::Errand;
use crate::state::AppState;
use crate::validation::Invalid;

/// Makes the storyboard: one of the pure functions of `spool_job::planner`, with the request's numbers bound.
pub type Planner = Box<dyn Fn(&[Photo], &Direction) -> Result<Storyboard, PlanError> + Send + Sync>;

/// A job to create, with the planner left open.
pub struct Creation {
    pub kind: JobKind,
    pub campaign_id: Uuid,
    pub film: Film,
    /// The caller's parameters; what was made of them is added.
    pub parameters: Map<String, Value>,
    /// The answer to a campaign without a single asset.
    pub no_assets: fn() -> ApiError,
    pub plan: Planner,
}

/// A job as it would be; nothing is written.
pub struct Draft {
    /// Whose campaign.
    pub client_id: Uuid,
    pub campaign_name: String,
    pub storyboard: Storyboard,
    pub estimate: Estimate,
    /// The budgets that bind it, as of a moment ago.
    pub budgets: Vec<Standing>,
    /// Images of the campaign.
    pub total_assets: usize,
}

/// What came to be.
pub struct Created {
    pub job: JobRow,
    pub scenes: Vec<SceneRow>,
    /// The budgets that bind it, as of a moment ago.
    pub budgets: Vec<Standing>,
    /// Images of the campaign.
    pub total_assets: usize,
}

impl Creation {
    /// Plans and estimates from the photos as they are now.
    pub async fn draft(&self, state: &AppState, caller: &Caller) -> Result<Draft, ApiError> {
        let material = state.material_reads.of_campaign(self.campaign_id, caller.client).await?;
        let material = material.ok_or_else(|| self.no_campaign())?;
        if material.photos.is_empty() {
            let mut reading = state.db.read().await?;
            if assets::count_of_campaign(&mut reading, self.campaign_id).await? == 0 {
                return Err((self.no_assets)());
            }
        }
        self.draft_from(state, &material).await
    }

    async fn draft_from(&self, state: &AppState, material: &Material) -> Result<Draft, ApiError> {
        let direction = Direction {
            style: self.film.style.clone(),
            music_genre: self.film.music_genre.clone(),
            clip_ms: self.film.clip_ms,
        };
        let storyboard = (self.plan)(&material.photos, &direction).map_err(unplannable)?;
        let (learned, budgets) =
            state.recent.of_new_job(&state.db, material.client_id, self.campaign_id).await?;
        let estimate = estimate::job(&self.film.spec, &storyboard, state.clock.now().date_naive())
            .map_err(|error| Invalid::only(field_of(&error), error.to_string()))?
            .with_learned(|model, unit| learned.p95_permille(model, unit));
        Ok(Draft {
            client_id: material.client_id,
            campaign_name: material.campaign_name.clone(),
            storyboard,
            estimate,
            budgets,
            total_assets: material.photos.len(),
        })
    }

    /// Creates the job and answers with what `answer` makes of it.
    pub async fn run<T: Serialize>(
        self,
        state: &AppState,
        caller: &Caller,
        answer: impl Fn(Created) -> T,
    ) -> Result<Response, ApiError> {
        if self.film.auto_approve {
            let (new, budgets, total_assets) = self.new_job(caller, self.first_draft(state, caller).await?);
            let started = Box::pin(started(state, caller, new)).await?;
            let NewRows { job, scenes } = started.ok_or_else(|| self.no_campaign())?;
            let created = Created { job, scenes, budgets, total_assets };
            return Ok((StatusCode::CREATED, Json(answer(created))).into_response());
        }
        let errand = Errand::of_this_request().await?;
        // Only a job is made of what is kept, and only while it is true; whatever else there is to say is said of the photos as they are.
        if let Some(material) = state.material_reads.kept(self.campaign_id, caller.client)
            && let Ok(draft) = self.draft_from(state, &material).await
        {
            let order = self.order(caller, draft, Some(material.mark), &answer)?;
            if let Some(created) = state.group_commit.carry_out(&errand, order).await? {
                return Ok(created);
            }
            state.material_reads.forget(self.campaign_id);
        }
        let order = self.order(caller, self.first_draft(state, caller).await?, None, &answer)?;
        state.group_commit.carry_out(&errand, order).await?.ok_or_else(|| self.no_campaign())
    }

    /// For a request that may have been answered before: whoever asks again is answered as before, whatever has become of the campaign
    /// since.
    async fn first_draft(&self, state: &AppState, caller: &Caller) -> Result<Draft, ApiError> {
        let draft = self.draft(state, caller).await;
        if draft.is_err() {
            state.db.not_answered_before().await?;
        }
        draft
    }

    fn order<T: Serialize>(
        &self,
        caller: &Caller,
        draft: Draft,
        mark: Option<i64>,
        answer: impl Fn(Created) -> T,
    ) -> Result<Order, ApiError> {
        let client_id = draft.client_id;
        let (new, budgets, total_assets) = self.new_job(caller, draft);
        let text = |NewRows { job, scenes }| {
            serde_json::to_string(&answer(Created { job, scenes, budgets, total_assets }))
        };
        let mut order = Order::new(new).answered(client_id, text).map_err(ApiError::internal)?;
        order.mark = mark;
        Ok(order)
    }

    /// The job, the budgets that bind it, and how many photos there are.
    fn new_job(&self, caller: &Caller, draft: Draft) -> (NewJob, Vec<Standing>, usize) {
        let new = NewJob {
            kind: self.kind,
            campaign_id: self.campaign_id,
            parameters: self.stored_parameters(&draft),
            spec: self.film.spec.clone(),
            storyboard: draft.storyboard,
            estimate: draft.estimate,
            created_by: Some(caller.key_id.clone()),
        };
        (new, draft.budgets, draft.total_assets)
    }

    fn no_campaign(&self) -> ApiError {
        ApiError::not_found("campaign", self.campaign_id)
    }

    /// What was effectively asked for, on top of what the caller wrote; ours win where the names are the same.
    fn stored_parameters(&self, draft: &Draft) -> Value {
        let film = &self.film;
        let ours = json!({
            "campaign_id": self.campaign_id,
            "campaign_name": draft.campaign_name,
            "client_id": draft.client_id,
            "video_model": film.spec.model,
            "clip_duration": f64::from(film.clip_ms) / 1000.0,
            "resolution": film.spec.resolution,
            "aspect_ratio": film.spec.aspect,
            "music": film.spec.music,
            "reuse": film.spec.reuse,
            "style": film.style,
            "music_genre": film.music_genre,
        });
        let mut parameters = self.parameters.clone();
        if let Value::Object(ours) = ours {
            parameters.extend(ours.into_iter().filter(|(_, value)| !value.is_null()));
        }
        Value::Object(parameters)
    }
}

/// Creates and approves it in one transaction of its own: there is much more to write.
async fn started(state: &AppState, caller: &Caller, new: NewJob) -> Result<Option<NewRows>, ApiError> {
    let mut transaction = state.db.begin().await?;
    let Some(NewRows { job, scenes }) = job_creation::create(&mut transaction, new).await? else {
        return Ok(None);
    };
    let bell = approval::approve(&mut transaction, job.id, caller.client).await?;
    let job = jobs::show(&mut transaction, job.id, None)
        .await?
        .ok_or_else(|| ApiError::not_found("job", job.id))?;
    audit::about("job", job.id);
    commit(transaction).await?;
    state.db.ring(bell).await;
    Ok(Some(NewRows { job, scenes }))
}

fn unplannable(error: PlanError) -> ApiError {
    let sentence = error.to_string();
    match error {
        PlanError::TooFewImages { .. } | PlanError::NoImages => {
            ApiError::bad_request(Code::NotEnoughAssets, sentence)
        }
        PlanError::NothingMatches { .. } => ApiError::unprocessable(Code::JobCreationFailed, sentence),
    }
}

/// 400: what the two creation routes under `/jobs` say to an empty campaign.
pub fn no_assets() -> ApiError {
    ApiError::bad_request(Code::NoAssets, "the campaign has no assets: upload photos first")
}

/// The campaign that must be named; a missing one is 400, as in v3.
pub fn required_campaign(given: Option<Uuid>) -> Result<Uuid, ApiError> {
    given.ok_or_else(|| ApiError::bad_request(Code::MissingParameter, "campaign_id is missing"))
}
