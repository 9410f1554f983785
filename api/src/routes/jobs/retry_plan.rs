//! What trying a job again would buy, and what it has already: the one way that single and bulk retries go.

use serde::Serialize;
use spool_db::revisions::{self, Kept, Reopened, Reopening};
use spool_db::scenes::SceneRow;
use spool_db::{budgets, jobs, learned, scenes};
use spool_job::estimate::{self, Estimate};
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use spool_job::spec::JobSpec;
use spool_job::state::JobState;
use spool_job::tasks::group_key;
use spool_queue::{Bell, inspect};
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::costs::{BudgetFit, CostLine};
use super::words::JobStatus;
use crate::approval;
use crate::caller::Caller;
use crate::error::{ApiError, Code};
use crate::routes::admin::budgets::body::Amount;
use crate::state::AppState;

/// A job that is tried again, or would be.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetriedJob {
    pub job_id: i64,
    /// `approved`; in a dry run, where it stands.
    #[schema(value_type = JobStatus)]
    pub status: &'static str,
    /// The new revision; in a dry run, the one it would be.
    pub revision: i32,
    /// Nothing was changed.
    pub dry_run: bool,
    /// What is missing and will be bought, at today's list prices.
    pub buys: Amount,
    /// The same, line by line.
    pub lines: Vec<CostLine>,
    /// What 95 of 100 such purchases cost at most, in micro-dollars, once enough were made to tell.
    pub learned_p95_micros: Option<i64>,
    /// What was bought before and is used again for nothing.
    pub keeps: Keeps,
    /// The budgets that bind it, and whether the purchases fit in each.
    pub budgets: Vec<BudgetFit>,
}

/// What needs no new money.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Keeps {
    /// Clips that were bought.
    pub clips: usize,
    /// Stretches of music that were bought.
    pub music: usize,
    /// Purchases still under way: they are waited for, not made again.
    pub under_way: usize,
    /// What all of these cost, or hold, in micro-dollars.
    pub micros: i64,
}

/// A job opened again in the caller's transaction.
pub struct Retry {
    pub job: RetriedJob,
    /// To be rung after the commit.
    pub bell: Bell,
}

/// Opens a job again and enqueues its new revision. A dry run is the same without a commit.
pub async fn retry(
    conn: &mut PgConnection,
    job_id: i64,
    state: &AppState,
    caller: &Caller,
    dry_run: bool,
) -> Result<Retry, ApiError> {
    let unknown = || ApiError::not_found("job", job_id).with("job_id", job_id);
    let before = jobs::version(conn, job_id, caller.client).await?.ok_or_else(unknown)?;
    let reopening = revisions::reopen(conn, job_id, caller.client).await?;
    go_on(conn, job_id, before.state, reopening, state, caller, dry_run).await
}

/// Prices and enqueues the new revision of a job that was opened again; it was in the state `before`.
pub async fn go_on(
    conn: &mut PgConnection,
    job_id: i64,
    before: JobState,
    reopening: Reopening,
    state: &AppState,
    caller: &Caller,
    dry_run: bool,
) -> Result<Retry, ApiError> {
    let unknown = || ApiError::not_found("job", job_id).with("job_id", job_id);
    let reopened = match reopening {
        Reopening::Reopened(reopened) => reopened,
        Reopening::Unknown => return Err(unknown()),
        Reopening::Running(at) => {
            return Err(refused(Code::AlreadyRunning, job_id, at.as_str(), "it has not ended"));
        }
        Reopening::Refused(at) => {
            let why = "only a failed job, or one canceled after its approval, can be tried again";
            return Err(refused(Code::NotRetryable, job_id, at.as_str(), why));
        }
    };
    // Tasks of a canceled job may still be on their way out.
    let tasks = inspect::tasks_of_group(conn, &group_key(job_id)).await.map_err(ApiError::internal)?;
    if tasks.iter().any(|task| !task.state.is_final()) {
        let why = "its tasks are still ending; try again in a moment";
        return Err(refused(Code::AlreadyRunning, job_id, before.as_str(), why));
    }
    let storyboard = scenes::list(conn, job_id).await?;
    let kept = revisions::kept(conn, job_id).await?;
    let estimate = missing(&reopened.spec, &storyboard, &kept, state)?;
    let learned = learned::all(conn).await?;
    let estimate = estimate.with_learned(|model, unit| learned.p95_permille(model, unit));
    let row = jobs::show(conn, job_id, None).await?.ok_or_else(unknown)?;
    let budgets = budgets::applying(conn, row.client_id, row.campaign_id, Some(job_id)).await?;
    let Reopened { revision, .. } = reopened;
    let bell = if dry_run { Bell::silent() } else { approval::enqueue(conn, job_id, reopened).await? };
    let job = RetriedJob {
        job_id,
        status: if dry_run { before.as_str() } else { "approved" },
        revision,
        dry_run,
        buys: estimate.total_micros.into(),
        lines: estimate.lines.iter().map(CostLine::from).collect(),
        learned_p95_micros: estimate.learned_p95_micros.map(|micros| micros.0),
        keeps: keeps(&kept, &storyboard),
        budgets: BudgetFit::all(budgets, estimate.held(), caller),
    };
    Ok(Retry { job, bell })
}

fn refused(code: Code, job_id: i64, status: &str, why: &str) -> ApiError {
    let sentence = format!("job {job_id} is {status}: {why}");
    let status_code = match code {
        Code::AlreadyRunning => http::StatusCode::CONFLICT,
        _ => http::StatusCode::UNPROCESSABLE_ENTITY,
    };
    ApiError::new(status_code, code, sentence).with("job_id", job_id).with("current_status", status)
}

/// Whether a purchase fills the clip of this scene as it is now.
fn is_clip_of(kept: &Kept, scene: &SceneRow) -> bool {
    kept.purpose == Purpose::Render && kept.scene == Some((scene.id, scene.version))
}

fn is_music_under(kept: &Kept, scene: &SceneRow) -> bool {
    kept.purpose == Purpose::Music && kept.ordinal == scene.index
}

/// The estimate for what nothing stands for yet.
fn missing(
    spec: &JobSpec,
    storyboard: &[SceneRow],
    kept: &[Kept],
    state: &AppState,
) -> Result<Estimate, ApiError> {
    let without = |fills: fn(&Kept, &SceneRow) -> bool| -> Vec<u32> {
        let open = storyboard.iter().filter(|scene| !kept.iter().any(|one| fills(one, scene)));
        open.map(|scene| scene.duration_ms.unsigned_abs()).collect()
    };
    let music = if spec.music { without(is_music_under) } else { Vec::new() };
    estimate::parts(spec, &without(is_clip_of), &music, state.clock.now().date_naive())
        .map_err(|error| ApiError::unprocessable(Code::NotRetryable, error.to_string()))
}

fn keeps(kept: &[Kept], storyboard: &[SceneRow]) -> Keeps {
    let mut keeps = Keeps::default();
    let used = kept
        .iter()
        .filter(|one| storyboard.iter().any(|scene| is_clip_of(one, scene) || is_music_under(one, scene)));
    for one in used {
        match (one.state, one.purpose) {
            (PredictionState::Succeeded, Purpose::Render) => keeps.clips += 1,
            (PredictionState::Succeeded, _) => keeps.music += 1,
            _ => keeps.under_way += 1,
        }
        keeps.micros += one.micros.0;
    }
    keeps
}

/// Refuses what would cost more than the caller wants to spend.
pub fn within(max: Option<i64>, buys: Micros) -> Result<(), ApiError> {
    match max {
        Some(max) if buys.0 > max => Err(crate::validation::Invalid::only(
            "max_cost_micros",
            format!("it would cost {buys}, which is more than {}", Micros(max)),
        )),
        _ => Ok(()),
    }
}
