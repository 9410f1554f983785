//! A job, its tasks and a worker that is alive by its row: what the tests change one thing about.

use chrono::NaiveDate;
use serde_json::json;
use spool_db::job_creation::{self, NewJob};
use spool_db::jobs::{self, Approval};
use spool_explain::{Explanation, Gate, TaskExplanation, explain};
use spool_job::estimate;
use spool_job::spec::{JobKind, JobSpec, OnMusicFailure, OnSceneFailure};
use spool_job::storyboard::{PlannedScene, Storyboard};
use spool_job::tasks::{self, Approved, OnFailure as Edge, PAYLOAD_VERSION};
use spool_queue::{Batch, NewTask, OnFailure, TaskId};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use uuid::Uuid;

/// Price of one clip of 4 s.
pub(crate) const CLIP: i64 = 400_000;

/// One job.
pub(crate) struct Stage {
    pub(crate) pool: PgPool,
    pub(crate) job: i64,
    pub(crate) client: Uuid,
}

pub(crate) fn spec(music: bool) -> JobSpec {
    JobSpec {
        reuse: true,
        model: "google/veo-3.1-fast".into(),
        resolution: "1080p".into(),
        aspect: "16:9".into(),
        audio: false,
        music,
        music_fade_ms: spool_job::spec::USUAL_FADE_MS,
        on_scene_failure: OnSceneFailure::Fail,
        on_music_failure: OnMusicFailure::ContinueWithSilence,
    }
}

fn storyboard(scenes: usize) -> Storyboard {
    let scene = |index: usize| PlannedScene {
        title: format!("Scene {index}"),
        description: String::new(),
        scene_type: None,
        prompt: "a calm room".into(),
        music_prompt: "calm".into(),
        duration_ms: 4000,
        first_asset_id: Uuid::now_v7(),
        last_asset_id: None,
    };
    Storyboard { scenes: (0..scenes).map(scene).collect() }
}

impl Stage {
    /// An approved job of one scene without music, and one live worker that serves all queues.
    pub(crate) async fn new(pool: PgPool) -> Self {
        let stage = Self::pending(pool, 1, false).await;
        stage.approve().await;
        stage.worker().await;
        stage
    }

    /// A job that nobody has approved, and no worker.
    pub(crate) async fn pending(pool: PgPool, scenes: usize, music: bool) -> Self {
        spool_db::schema::migrate(&pool).await.unwrap();
        spool_queue::migrate(&pool).await.unwrap();
        let (client, campaign) = (Uuid::now_v7(), Uuid::now_v7());
        let mut stage = Self { pool, job: 0, client };
        stage.sql(&format!("INSERT INTO clients (id, name) VALUES ('{client}', 'Lodge')")).await;
        stage
            .sql(&format!(
                "INSERT INTO campaigns (id, client_id, name) VALUES ('{campaign}', '{client}', 'Autumn')"
            ))
            .await;
        let (spec, storyboard) = (spec(music), storyboard(scenes));
        let day = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
        let new = NewJob {
            kind: JobKind::ImagePairs,
            campaign_id: campaign,
            parameters: json!({}),
            estimate: estimate::job(&spec, &storyboard, day).unwrap(),
            spec,
            storyboard,
            created_by: None,
        };
        stage.job = job_creation::create(&mut *stage.conn().await, new).await.unwrap().unwrap().job.id;
        stage
    }

    /// As the API approves.
    pub(crate) async fn approve(&self) {
        let mut tx = self.pool.begin().await.unwrap();
        let approval = jobs::approve(&mut tx, self.job, None).await.unwrap();
        let Approval::Approved { revision, spec, scenes, .. } = approval else { panic!("{approval:?}") };
        let plan = tasks::plan(&Approved {
            job_id: self.job,
            revision,
            scenes: &scenes,
            music: spec.music,
            on_scene_failure: spec.on_scene_failure,
            on_music_failure: spec.on_music_failure,
            origin: None,
        });
        let mut batch = Batch::new();
        let mut slots = Vec::new();
        for task in &plan {
            let new = NewTask::new(task.kind.as_str(), task.kind.queue(), PAYLOAD_VERSION, &task.payload);
            let slot = batch.add(
                new.unique_key(&task.key)
                    .group_key(tasks::group_key(self.job))
                    .share_key(self.client.to_string()),
            );
            for (parent, policy) in &task.after {
                let policy = if *policy == Edge::Cancel { OnFailure::Cancel } else { OnFailure::Run };
                batch.after(slot, slots[*parent], policy);
            }
            slots.push(slot);
        }
        let _ = batch.insert(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn worker(&self) {
        self.sql("insert into queue.worker (name, host, pid, slots, lease_until)
                  values ('w', 'h', 1, '{\"predict\": 256, \"collect\": 8, \"ffmpeg\": 2, \"light\": 64}', now() + interval '1 hour')")
            .await;
    }

    pub(crate) async fn conn(&self) -> sqlx::pool::PoolConnection<sqlx::Postgres> {
        self.pool.acquire().await.unwrap()
    }

    pub(crate) async fn sql(&self, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&self.pool).await.unwrap();
    }

    /// Sets columns of the job's tasks of a kind.
    pub(crate) async fn set(&self, kind: &str, columns: &str) {
        self.sql(&format!(
            "update queue.task set {columns} where kind = '{kind}' and group_key = 'job/{}'",
            self.job
        ))
        .await;
    }

    /// As a worker has them that claims the ready tasks of a kind.
    pub(crate) async fn run(&self, kind: &str) {
        self.sql(&format!(
            "update queue.task set state = 4, attempt = 1, lease_token = nextval('queue.lease_token'),
                    worker_id = (select max(id) from queue.worker), claimed_at = now(), deadline_at = now() + interval '1 hour'
             where kind = '{kind}' and state = 0 and group_key = 'job/{}'",
            self.job
        ))
        .await;
    }

    pub(crate) async fn explain(&self) -> Explanation {
        explain(&mut *self.conn().await, self.job, None).await.unwrap().unwrap()
    }

    pub(crate) async fn task(&self, kind: &str) -> TaskExplanation {
        let found = self.explain().await;
        found.tasks.into_iter().find(|task| task.kind == kind).unwrap_or_else(|| panic!("no {kind}"))
    }

    pub(crate) async fn id(&self, kind: &str) -> TaskId {
        TaskId(self.task(kind).await.task_id)
    }

    /// The only gate of a task, and its sentence.
    pub(crate) async fn only(&self, kind: &str) -> (Gate, String) {
        let task = self.task(kind).await;
        assert_eq!(task.gates.len(), 1, "{task:#?}");
        (task.gates[0].clone(), task.sentence)
    }

    /// Tasks of somebody else, ready since so many seconds.
    pub(crate) async fn others(&self, queue: &str, share: &str, count: usize, seconds: i64) {
        self.sql(&format!(
            "insert into queue.task (state, run_at, queue, kind, payload, share_key)
             select 0, now() - interval '{seconds} seconds', '{queue}', 'other', '1', '{share}' from generate_series(1, {count})"
        ))
        .await;
    }

    /// A task of somebody else that runs.
    pub(crate) async fn other_runs(&self, queue: &str, share: &str) {
        self.sql(&format!(
            "insert into queue.task (state, queue, kind, payload, share_key, attempt, lease_token, worker_id, claimed_at, deadline_at)
             select 4, '{queue}', 'other', '1', '{share}', 1, nextval('queue.lease_token'), max(id), now(), now() + interval '1 hour'
             from queue.worker"
        ))
        .await;
    }

    /// Scene and version of the first scene.
    pub(crate) async fn scene(&self, conn: &mut PgConnection) -> (Uuid, i32) {
        let scenes = spool_db::scenes::list(conn, self.job).await.unwrap();
        (scenes[0].id, scenes[0].version)
    }
}
