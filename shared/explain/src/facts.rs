//! What is known of a job, read from the queue and from our own tables: 21 statements, and two more for
//! each provider before which it waits, whatever the job's size.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use spool_db::budgets::{self, Standing, Stop};
use spool_db::explain::{self as db, Call, JobFacts, Shot, TypicalCall};
use spool_db::learned::{self, Learned};
use spool_db::limits::{self, InLine, Obstacle};
use spool_job::catalog::{self, Model};
use spool_job::estimate;
use spool_job::money::Micros;
use spool_job::prediction::Purpose;
use spool_job::quote::quote;
use spool_job::spec::JobSpec;
use spool_job::tasks::{CollectTask, MusicTask, RenderTask, TaskKind, group_key};
use spool_queue::inspect::{self, Outlook, QueueOutlook, TaskOutlook};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::ExplainError;

/// The model that composes.
const COMPOSER: &str = "meta/musicgen";

/// All that an explanation is made from.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) job: JobFacts,
    pub(crate) shots: Vec<Shot>,
    pub(crate) calls: Vec<Call>,
    pub(crate) outlook: Outlook,
    pub(crate) budgets: Vec<Standing>,
    pub(crate) stop: Option<Stop>,
    /// What stands before a call, by model.
    pub(crate) obstacles: HashMap<String, Vec<Obstacle>>,
    /// Where its tasks stand in the lines before providers, by task.
    pub(crate) lines: HashMap<i64, InLine>,
    /// How many tasks have waited longer for money, by task.
    pub(crate) money_lines: HashMap<i64, u64>,
    pub(crate) typical_calls: Vec<TypicalCall>,
    /// What calls have cost.
    pub(crate) learned: Learned,
}

/// What a task would buy.
#[derive(Debug, Clone)]
pub(crate) struct Purchase {
    pub(crate) purpose: Purpose,
    pub(crate) scene: Option<(Uuid, i32)>,
    pub(crate) ordinal: i32,
    pub(crate) model: &'static Model,
    /// None where the catalogue does not know it any more.
    pub(crate) price: Option<Micros>,
}

/// Reads everything; none when there is no such job for this owner. What can matter only while a job is live is read only then.
pub(crate) async fn read(
    conn: &mut PgConnection,
    job_id: i64,
    owner: Option<Uuid>,
) -> Result<Option<Facts>, ExplainError> {
    let Some(job) = db::job(conn, job_id, owner).await? else { return Ok(None) };
    let mut outlook = inspect::outlook(conn, &group_key(job_id)).await?;
    // What an older revision of the job left behind is over.
    outlook.tasks.retain(|task| {
        !task.view.state.is_final() || job.approved_at.is_none_or(|approved| task.created_at >= approved)
    });
    let mut facts = Facts {
        shots: db::shots(conn, job_id).await?,
        calls: db::calls(conn, job_id).await?,
        outlook,
        budgets: Vec::new(),
        stop: None,
        obstacles: HashMap::new(),
        lines: HashMap::new(),
        money_lines: HashMap::new(),
        typical_calls: Vec::new(),
        learned: Learned::default(),
        job,
    };
    if facts.job.state.is_final() {
        return Ok(Some(facts));
    }
    facts.budgets = budgets::applying(conn, facts.job.client_id, facts.job.campaign_id, Some(job_id)).await?;
    facts.stop = budgets::stopped(conn).await?;
    facts.learned = learned::all(conn).await?;
    facts.typical_calls = db::typical_calls(conn).await?;
    facts.lines = limits::in_line(conn, job_id).await?;
    facts.money_lines = budgets::places(conn, job_id).await?;
    let models = [facts.job.spec.model().ok(), composer(&facts.job.spec)];
    for model in models.into_iter().flatten() {
        let found = limits::obstacles(conn, &model.provider, &model.slug).await?;
        facts.obstacles.insert(model.slug.clone(), found);
    }
    Ok(Some(facts))
}

fn composer(spec: &JobSpec) -> Option<&'static Model> {
    spec.music.then(|| catalog::find(COMPOSER, Purpose::Music).ok()).flatten()
}

impl Facts {
    /// The database's time.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.job.at
    }

    pub(crate) fn queue(&self, name: &str) -> Option<&QueueOutlook> {
        self.outlook.queues.iter().find(|queue| queue.queue == name)
    }

    /// The scene that a task is about, from 1.
    pub(crate) fn scene_of(&self, task: &TaskOutlook) -> Option<i32> {
        let index_of = |id: Uuid| self.shots.iter().find(|shot| shot.id == id).map(|shot| shot.index);
        let payload = &task.view.payload;
        let index = match kind(task)? {
            TaskKind::Render => index_of(read_payload::<RenderTask>(payload)?.scene_id)?,
            TaskKind::Music => read_payload::<MusicTask>(payload)?.ordinal,
            TaskKind::Collect => {
                let id = read_payload::<CollectTask>(payload)?.prediction_id;
                let call = self.calls.iter().find(|call| call.id == id)?;
                call.scene.map_or(Some(call.ordinal), |(scene, _)| index_of(scene))?
            }
            _ => return None,
        };
        Some(index + 1)
    }

    /// What a task buys, if it is of a kind that does.
    pub(crate) fn purchase_of(&self, task: &TaskOutlook) -> Option<Purchase> {
        let spec = &self.job.spec;
        match kind(task)? {
            TaskKind::Render => {
                let RenderTask { scene_id, scene_version, .. } = read_payload(&task.view.payload)?;
                let model = spec.model().ok()?;
                let shot = self.shots.iter().find(|shot| shot.id == scene_id)?;
                let seconds = model.snap_duration(&spec.resolution, shot.duration_ms.unsigned_abs()).ok();
                let price = seconds.and_then(|seconds| {
                    let ms = i64::from(seconds) * 1000;
                    self.price(model, &spec.resolution, spec.audio, ms)
                });
                let scene = Some((scene_id, scene_version));
                Some(Purchase { purpose: Purpose::Render, scene, ordinal: 0, model, price })
            }
            TaskKind::Music => {
                let MusicTask { ordinal, .. } = read_payload(&task.view.payload)?;
                let model = composer(spec)?;
                let shot = self.shots.iter().find(|shot| shot.index == ordinal)?;
                let seconds = estimate::music_seconds(shot.duration_ms.unsigned_abs());
                let price = self.price(model, "", false, i64::from(seconds) * 1000);
                Some(Purchase { purpose: Purpose::Music, scene: None, ordinal, model, price })
            }
            _ => None,
        }
    }

    /// What is held for so many milliseconds of media; none where the catalogue has no price.
    fn price(&self, model: &Model, resolution: &str, audio: bool, media_ms: i64) -> Option<Micros> {
        let learned = self.learned.p95_permille(&model.slug, model.unit.as_str());
        quote(model, self.now().date_naive(), resolution, audio, media_ms, learned)
            .ok()
            .map(|quote| quote.held)
    }

    /// The call that fills what a task buys, if one stands.
    pub(crate) fn standing_call(&self, purchase: &Purchase) -> Option<&Call> {
        self.calls.iter().rfind(|call| {
            call.state.blocks_another()
                && call.purpose == purchase.purpose
                && call.scene == purchase.scene
                && call.ordinal == purchase.ordinal
        })
    }
}

/// Its kind; none for one that this program does not know.
pub(crate) fn kind(task: &TaskOutlook) -> Option<TaskKind> {
    task.view.kind.parse().ok()
}

fn read_payload<T: serde::de::DeserializeOwned>(payload: &serde_json::Value) -> Option<T> {
    T::deserialize(payload).ok()
}
