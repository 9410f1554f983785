//! The one way a job comes to be, whatever route asked for it: plan, estimate, insert and, with `auto_approve`,
//! start, in one transaction.

use serde_json::{Map, Value, json};
use spool_db::budgets::{self, Standing};
use spool_db::campaigns::{self, Campaign};
use spool_db::jobs::{JobRow, NewJob};
use spool_db::scenes::SceneRow;
use spool_db::{assets, jobs, learned, scenes};
use spool_job::estimate::{self, Estimate};
use spool_job::photo::Photo;
use spool_job::planner::{Direction, PlanError};
use spool_job::spec::JobKind;
use spool_job::storyboard::Storyboard;
use sqlx::PgConnection;
use uuid::Uuid;

use super::request::{Film, field_of};
use crate::approval;
use crate::audit;
use crate::caller::Caller;
use crate::database::commit;
use crate::error::{ApiError, Code};
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
    pub campaign: Campaign,
    pub storyboard: Storyboard,
    pub estimate: Estimate,
    /// Images of the campaign.
    pub total_assets: usize,
}

/// What came to be.
pub struct Created {
    pub job: JobRow,
    pub scenes: Vec<SceneRow>,
    /// The budgets that bind it.
    pub budgets: Vec<Standing>,
    /// Images of the campaign.
    pub total_assets: usize,
}

impl Creation {
    /// Plans and estimates.
    pub async fn draft(
        &self,
        conn: &mut PgConnection,
        state: &AppState,
        caller: &Caller,
    ) -> Result<Draft, ApiError> {
        let campaign = campaigns::find(conn, self.campaign_id, caller.client)
            .await?
            .ok_or_else(|| ApiError::not_found("campaign", self.campaign_id))?;
        let photos = assets::photos(conn, campaign.id).await?;
        if photos.is_empty() && assets::count_of_campaign(conn, campaign.id).await? == 0 {
            return Err((self.no_assets)());
        }
        let direction = Direction {
            style: self.film.style.clone(),
            music_genre: self.film.music_genre.clone(),
            clip_ms: self.film.clip_ms,
        };
        let storyboard = (self.plan)(&photos, &direction).map_err(unplannable)?;
        let learned = learned::all(conn).await?;
        let estimate = estimate::job(&self.film.spec, &storyboard, state.clock.now().date_naive())
            .map_err(|error| Invalid::only(field_of(&error), error.to_string()))?
            .with_learned(|model, unit| learned.p95_permille(model, unit));
        Ok(Draft { campaign, storyboard, estimate, total_assets: photos.len() })
    }

    /// Creates the job.
    pub async fn run(self, state: &AppState, caller: &Caller) -> Result<Created, ApiError> {
        let mut transaction = state.db.begin().await?;
        let conn: &mut PgConnection = &mut transaction;
        let Draft { campaign, storyboard, estimate, total_assets } = self.draft(conn, state, caller).await?;
        let new = NewJob {
            kind: self.kind,
            campaign_id: campaign.id,
            parameters: stored_parameters(self.parameters, &campaign, &self.film),
            spec: &self.film.spec,
            storyboard: &storyboard,
            estimate: &estimate,
            created_by: Some(&caller.key_id),
        };
        let id =
            jobs::create(conn, &new).await?.ok_or_else(|| ApiError::not_found("campaign", campaign.id))?;
        let bell = if self.film.auto_approve {
            Some(approval::approve(conn, id, caller.client).await?)
        } else {
            None
        };
        let job = jobs::show(conn, id, None).await?.ok_or_else(|| ApiError::not_found("job", id))?;
        let scenes = scenes::list(conn, id).await?;
        let budgets = budgets::applying(conn, job.client_id, job.campaign_id, Some(id)).await?;
        audit::about("job", id);
        commit(transaction).await?;
        if let Some(bell) = bell {
            state.db.ring(bell).await;
        }
        Ok(Created { job, scenes, budgets, total_assets })
    }
}

/// What was effectively asked for, on top of what the caller wrote; ours win where the names are the same.
fn stored_parameters(mut given: Map<String, Value>, campaign: &Campaign, film: &Film) -> Value {
    let ours = json!({
        "campaign_id": campaign.id,
        "campaign_name": campaign.name,
        "client_id": campaign.client_id,
        "video_model": film.spec.model,
        "clip_duration": f64::from(film.clip_ms) / 1000.0,
        "resolution": film.spec.resolution,
        "aspect_ratio": film.spec.aspect,
        "music": film.spec.music,
        "reuse": film.spec.reuse,
        "style": film.style,
        "music_genre": film.music_genre,
    });
    if let Value::Object(ours) = ours {
        given.extend(ours.into_iter().filter(|(_, value)| !value.is_null()));
    }
    Value::Object(given)
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
