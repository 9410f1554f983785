//! Jobs come to be: their names, their rows, their scenes and their first events in one statement, however many they are, for each round trip
//! and each statement of a creation counts. What they have become is told without reading it again.

use crate::error::{DbError, Doing};
use crate::jobs::JobRow;
use crate::ledger::JobMoney;
use crate::scenes::SceneRow;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use spool_job::estimate::Estimate;
use spool_job::spec::{JobKind, JobSpec};
use spool_job::state::{JobState, SceneState};
use spool_job::storyboard::{PlannedScene, Storyboard};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

/// Where a job with a storyboard stands until somebody approves it.
const FIRST_STAGE: &str = "storyboard_ready";

/// A job to be.
#[derive(Debug)]
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

/// Inserts the job, its scenes and its first event; the video's name counts up per campaign, whose row is locked for it until the end of
/// the transaction: whatever else takes time comes before. `None` when there is no such campaign.
pub async fn create(conn: &mut PgConnection, job: &NewJob) -> Result<Option<NewRows>, DbError> {
    Ok(create_all(conn, &[job]).await?.pop().flatten())
}

/// The same for several: all of them or, with an error, none.
pub async fn create_all(conn: &mut PgConnection, new: &[&NewJob]) -> Result<Vec<Option<NewRows>>, DbError> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let board = Board::of(new);
    let campaigns: Vec<Uuid> = new.iter().map(|job| job.campaign_id).collect();
    let kinds: Vec<&str> = new.iter().map(|job| job.kind.as_str()).collect();
    let parameters: Vec<Json<&Value>> = new.iter().map(|job| Json(&job.parameters)).collect();
    let specs: Vec<Json<&JobSpec>> = new.iter().map(|job| Json(&job.spec)).collect();
    let estimates: Vec<Json<&Estimate>> = new.iter().map(|job| Json(&job.estimate)).collect();
    let micros: Vec<i64> = new.iter().map(|job| job.estimate.total_micros.0).collect();
    let creators: Vec<Option<&str>> = new.iter().map(|job| job.created_by.as_deref()).collect();
    let events: Vec<Value> = new.iter().map(|job| first_event(job)).collect();
    // The campaigns are locked in order, or two that create at the same time could wait for each other.
    let rows = sqlx::query!(
        r#"WITH asked AS MATERIALIZED (
             SELECT *, row_number() OVER (PARTITION BY campaign_id ORDER BY place) AS turn
             FROM unnest($1::uuid[], $2::text[], $3::jsonb[], $4::jsonb[], $5::jsonb[], $6::bigint[], $7::text[], $8::jsonb[])
                  WITH ORDINALITY AS a (campaign_id, type, parameters, spec, estimate, micros, created_by, event, place)
         ), locked AS MATERIALIZED (
             SELECT id FROM campaigns WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE
         ), named AS (
             UPDATE campaigns c SET videos_named = videos_named + wanted.jobs
             FROM (SELECT campaign_id, count(*)::integer AS jobs FROM asked GROUP BY campaign_id) wanted
                  JOIN locked ON locked.id = wanted.campaign_id
             WHERE c.id = wanted.campaign_id
             RETURNING c.id, c.client_id, c.name, c.videos_named - wanted.jobs AS earlier
         ), numbered AS MATERIALIZED (
             SELECT asked.*, nextval('jobs_id_seq') AS id, named.client_id, named.name || ' ' || named.earlier + asked.turn AS video_name
             FROM asked JOIN named ON named.id = asked.campaign_id
         ), job AS (
             INSERT INTO jobs (id, type, state, client_id, campaign_id, video_name, parameters, spec, estimate, estimate_micros, stage,
                               created_by)
             SELECT id, type, 'pending', client_id, campaign_id, video_name, parameters, spec, estimate, micros, $9, created_by FROM numbered
         ), board AS (
             INSERT INTO scenes (id, job_id, index, title, description, scene_type, prompt, music_prompt, duration_ms, first_asset_id,
                                 last_asset_id, state)
             SELECT s.id, numbered.id, s.index, s.title, s.description, s.scene_type, s.prompt, s.music_prompt, s.duration_ms,
                    s.first_asset_id, s.last_asset_id, 'pending'
             FROM unnest($10::bigint[], $11::integer[], $12::uuid[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[],
                         $18::integer[], $19::uuid[], $20::uuid[])
                  AS s (place, index, id, title, description, scene_type, prompt, music_prompt, duration_ms, first_asset_id, last_asset_id)
             JOIN numbered USING (place)
         ), event AS (
             INSERT INTO job_events (job_id, seq, type, data) SELECT id, 1, 'created', event FROM numbered
         )
         SELECT place AS "place!", id AS "id!", client_id, video_name AS "video_name!", now() AS "at!" FROM numbered"#,
        &campaigns,
        &kinds as &[&str],
        &parameters as &[Json<&Value>],
        &specs as &[Json<&JobSpec>],
        &estimates as &[Json<&Estimate>],
        &micros,
        &creators as &[Option<&str>],
        &events,
        FIRST_STAGE,
        &board.places,
        &board.indexes,
        &board.ids,
        &board.titles as &[&str],
        &board.descriptions as &[&str],
        &board.types as &[Option<&str>],
        &board.prompts as &[&str],
        &board.music as &[&str],
        &board.lengths,
        &board.first,
        &board.last as &[Option<Uuid>],
    )
    .fetch_all(conn)
    .await
    .doing("create the jobs")?;
    let mut made: Vec<Option<NewRows>> = new.iter().map(|_| None).collect();
    for row in rows {
        let nth = row.place as usize - 1;
        let by_database =
            Made { id: row.id, client_id: Some(row.client_id), video_name: row.video_name, at: row.at };
        let scenes = by_database.scenes(board.ids_of(nth), &new[nth].storyboard);
        made[nth] = Some(NewRows { scenes, job: by_database.job(new[nth]) });
    }
    Ok(made)
}

fn first_event(job: &NewJob) -> Value {
    json!({"scenes": job.storyboard.scenes.len(), "estimate_micros": job.estimate.total_micros})
}

/// The scenes of all jobs, column by column.
#[derive(Default)]
struct Board<'a> {
    /// Which job, from 1.
    places: Vec<i64>,
    indexes: Vec<i32>,
    ids: Vec<Uuid>,
    titles: Vec<&'a str>,
    descriptions: Vec<&'a str>,
    types: Vec<Option<&'a str>>,
    prompts: Vec<&'a str>,
    music: Vec<&'a str>,
    lengths: Vec<i32>,
    first: Vec<Uuid>,
    last: Vec<Option<Uuid>>,
}

impl<'a> Board<'a> {
    fn of(new: &[&'a NewJob]) -> Self {
        let mut board = Self::default();
        for (place, job) in (1..).zip(new) {
            for (index, scene) in (0..).zip(&job.storyboard.scenes) {
                board.places.push(place);
                board.indexes.push(index);
                board.ids.push(Uuid::now_v7());
                board.titles.push(&scene.title);
                board.descriptions.push(&scene.description);
                board.types.push(scene.scene_type.as_deref());
                board.prompts.push(&scene.prompt);
                board.music.push(&scene.music_prompt);
                board.lengths.push(scene.duration_ms as i32);
                board.first.push(scene.first_asset_id);
                board.last.push(scene.last_asset_id);
            }
        }
        board
    }

    /// Those of the nth job.
    fn ids_of(&self, nth: usize) -> &[Uuid] {
        let place = nth as i64 + 1;
        let begin = self.places.partition_point(|&other| other < place);
        let end = self.places.partition_point(|&other| other <= place);
        &self.ids[begin..end]
    }
}

/// What only the database could say.
struct Made {
    id: i64,
    client_id: Option<Uuid>,
    video_name: String,
    at: DateTime<Utc>,
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
