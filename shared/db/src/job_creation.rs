//! Jobs come to be: keys, names, rows, scenes, first events, notes and answers in one statement, however many jobs there are, for each round
//! trip and each statement of a creation counts. What they have become is told without reading it again.

use crate::audit::Change;
use crate::error::{DbError, Doing};
use crate::idempotency::{Entry, FREE, Use};
use crate::new_job::FIRST_STAGE;
pub use crate::new_job::{Made, NewJob, NewRows, Order, SCENE_IS_THERE};
use serde_json::{Value, json};
use spool_job::estimate::Estimate;
use spool_job::spec::JobSpec;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

const DOING: &str = "create the jobs";

/// What became of an order.
#[derive(Debug)]
pub enum Outcome {
    /// It is written, and this is its answer, if it has one, as it is kept under its key.
    Created(Made, Option<String>),
    /// There is no such campaign, or it is not any more what the storyboard was made from.
    NoCampaign,
    /// Its key is not free.
    Taken(Entry),
}

/// Inserts the job, its scenes and its first event; the video's name counts up per campaign, whose row is locked for it until the end of
/// the transaction: whatever else takes time comes before. `None` when there is no such campaign.
pub async fn create(conn: &mut PgConnection, job: NewJob) -> Result<Option<NewRows>, DbError> {
    let order = Order::new(job);
    match create_all(conn, std::slice::from_ref(&order), None).await?.pop() {
        Some(Outcome::Created(made, _)) => Ok(Some(order.rows(made))),
        _ => Ok(None),
    }
}

/// Carries out several orders: all that can be or, with an error, none. In no transaction it is one of its own. With `patience` it waits
/// no longer for a campaign that somebody holds: a time as Postgres writes it.
pub async fn create_all(
    conn: &mut PgConnection,
    orders: &[Order],
    patience: Option<&str>,
) -> Result<Vec<Outcome>, DbError> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let board = Board::of(orders);
    let jobs: Vec<&NewJob> = orders.iter().map(|order| &order.job).collect();
    let keys: Vec<Option<&Use>> = orders.iter().map(|order| order.key.as_ref()).collect();
    let answers: Vec<_> = orders.iter().map(|order| order.answer.as_ref()).collect();
    let changes: Vec<Option<&Change>> = orders.iter().map(|order| order.change.as_ref()).collect();
    // The campaigns are locked in order, or two that create at the same time could wait for each other. A row of the key that is in the way
    // is this request's, or older than a day: whoever holds the key's lock knows.
    let rows = sqlx::query!(
        r#"WITH asked AS MATERIALIZED (
             SELECT * FROM unnest($1::uuid[], $2::text[], $3::jsonb[], $4::jsonb[], $5::jsonb[], $6::bigint[], $7::text[], $8::jsonb[],
                         $9::text[], $10::text[], $11::uuid[], $12::text[], $13::text[], $14::bigint[], $15::text[],
                         $16::text[], $17::uuid[], $18::text[], $19::text[], $20::text[], $21::text[], $22::jsonb[], $36::bigint[])
                  WITH ORDINALITY AS a (campaign_id, type, parameters, spec, estimate, micros, created_by, event,
                                        api_key, key, request, digest, answer, stands_for_id, stands_for_name,
                                        noted_key, noted_client, request_id, method, route, path, about, mark, place)
         ), entered AS MATERIALIZED (
             SELECT * FROM idempotency_enter($9, $10, $11, $12)
         ), free AS MATERIALIZED (
             SELECT asked.*, row_number() OVER (PARTITION BY campaign_id ORDER BY place) AS turn
             FROM asked LEFT JOIN entered USING (place)
                  LEFT JOIN LATERAL (SELECT mark FROM material_marks m WHERE m.campaign_id = asked.campaign_id OFFSET 0) m ON true
             WHERE CASE WHEN entry <> 'free' THEN false WHEN asked.mark <> coalesce(m.mark, 0) THEN false ELSE true END
         ), locked AS MATERIALIZED (
             SELECT id FROM campaigns
             WHERE id = ANY (ARRAY(SELECT campaign_id FROM free)) AND (SELECT set_config('lock_timeout', coalesce($23, current_setting('lock_timeout')), true)) <> ''
             ORDER BY id FOR NO KEY UPDATE
         ), named AS (
             UPDATE campaigns c SET videos_named = videos_named + wanted.jobs
             FROM (SELECT campaign_id, count(*)::integer AS jobs FROM free GROUP BY campaign_id) wanted
                  JOIN locked ON locked.id = wanted.campaign_id
             WHERE c.id = wanted.campaign_id
             RETURNING c.id, c.client_id, c.name, c.videos_named - wanted.jobs AS earlier
         ), numbered AS MATERIALIZED (
             SELECT free.*, named.client_id, its.id, its.video_name,
                    replace(replace(answer, stands_for_id::text, its.id::text),
                            stands_for_name, left(substr(to_json(its.video_name)::text, 2), -1)) AS told
             FROM free JOIN named ON named.id = free.campaign_id, LATERAL (
                 SELECT nextval('jobs_id_seq') AS id, named.name || ' ' || named.earlier + free.turn AS video_name OFFSET 0
             ) its
         ), job AS (
             INSERT INTO jobs (id, type, state, client_id, campaign_id, video_name, parameters, spec, estimate, estimate_micros, stage,
                               created_by)
             SELECT id, type, 'pending', client_id, campaign_id, video_name, parameters, spec, estimate, micros, $24, created_by FROM numbered
         ), board AS (
             INSERT INTO scenes (id, job_id, index, title, description, scene_type, prompt, music_prompt, duration_ms, first_asset_id,
                                 last_asset_id, state)
             SELECT s.id, numbered.id, s.index, s.title, s.description, s.scene_type, s.prompt, s.music_prompt, s.duration_ms,
                    s.first_asset_id, s.last_asset_id, 'pending'
             FROM unnest($25::bigint[], $26::integer[], $27::uuid[], $28::text[], $29::text[], $30::text[], $31::text[], $32::text[],
                         $33::integer[], $34::uuid[], $35::uuid[])
                  AS s (place, index, id, title, description, scene_type, prompt, music_prompt, duration_ms, first_asset_id, last_asset_id)
             JOIN numbered USING (place)
         ), event AS (
             INSERT INTO job_events (job_id, seq, type, data) SELECT id, 1, 'created', event FROM numbered
         ), noted AS (
             INSERT INTO audit (key_id, client_id, request_id, method, route, path, about)
             SELECT noted_key, noted_client, request_id, method, route, path, about || jsonb_build_object('job', id)
             FROM numbered WHERE noted_key IS NOT NULL
         ), kept AS (
             INSERT INTO idempotency_keys (api_key, key, request, digest, status, content_type, body)
             SELECT api_key, key, request, digest, 201, 'application/json', convert_to(told, 'UTF8') FROM numbered WHERE key IS NOT NULL
             ON CONFLICT (api_key, key) DO UPDATE
             SET request = excluded.request, digest = excluded.digest, status = excluded.status, content_type = excluded.content_type,
                 location = excluded.location, body = excluded.body, created_at = now()
         )
         SELECT entered.entry AS "entry?", entered.status AS "status?", entered.content_type AS "content_type?", entered.location AS "location?",
                entered.body AS "body?", n.id AS "id?", n.client_id AS "client_id?", n.video_name AS "video_name?", now() AS "at!",
                n.told AS "answer?"
         FROM asked LEFT JOIN entered USING (place) LEFT JOIN numbered n USING (place)
         ORDER BY place"#,
        &column(&jobs, |job| job.campaign_id),
        &column(&jobs, |job| job.kind.as_str()) as &[&str],
        &column(&jobs, |job| Json(&job.parameters)) as &[Json<&Value>],
        &column(&jobs, |job| Json(&job.spec)) as &[Json<&JobSpec>],
        &column(&jobs, |job| Json(&job.estimate)) as &[Json<&Estimate>],
        &column(&jobs, |job| job.estimate.total_micros.0),
        &column(&jobs, |job| job.created_by.as_deref()) as &[Option<&str>],
        &column(&jobs, |job| first_event(job)),
        &column(&keys, |key| key.map(|key| key.api_key.as_str())) as &[Option<&str>],
        &column(&keys, |key| key.map(|key| key.key.as_str())) as &[Option<&str>],
        &column(&keys, |key| key.map(|key| key.request)) as &[Option<Uuid>],
        &column(&keys, |key| key.map(|key| key.digest.as_str())) as &[Option<&str>],
        &column(&answers, |answer| answer.map(|answer| answer.text.as_str())) as &[Option<&str>],
        &column(&answers, |answer| answer.map(|answer| answer.id)) as &[Option<i64>],
        &column(&answers, |answer| answer.map(|answer| answer.video_name.as_str())) as &[Option<&str>],
        &column(&changes, |change| change.map(|change| change.key_id.as_str())) as &[Option<&str>],
        &column(&changes, |change| change.and_then(|change| change.client_id)) as &[Option<Uuid>],
        &column(&changes, |change| change.map(|change| change.request_id.as_str())) as &[Option<&str>],
        &column(&changes, |change| change.map(|change| change.method.as_str())) as &[Option<&str>],
        &column(&changes, |change| change.map(|change| change.route.as_str())) as &[Option<&str>],
        &column(&changes, |change| change.map(|change| change.path.as_str())) as &[Option<&str>],
        &column(&changes, |change| change.map(|change| Json(&change.about))) as &[Option<Json<&Value>>],
        patience,
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
        &column(orders, |order| order.mark) as &[Option<i64>],
    )
    .fetch_all(conn)
    .await
    .doing(DOING)?;
    let mut outcomes = Vec::with_capacity(orders.len());
    for row in rows {
        outcomes.push(match (row.entry, row.id, row.video_name) {
            (_, Some(id), Some(video_name)) => {
                let made = Made { id, client_id: row.client_id, video_name, at: row.at };
                Outcome::Created(made, row.answer)
            }
            (Some(entry), ..) if entry != FREE => {
                Outcome::Taken(Entry::found(&entry, row.status, row.content_type, row.location, row.body)?)
            }
            _ => Outcome::NoCampaign,
        });
    }
    Ok(outcomes)
}

fn column<'a, T, C>(rows: &'a [T], value: impl Fn(&'a T) -> C) -> Vec<C> {
    rows.iter().map(value).collect()
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
    fn of(orders: &'a [Order]) -> Self {
        let mut board = Self::default();
        for (place, order) in (1..).zip(orders) {
            for ((index, id), scene) in (0..).zip(&order.scene_ids).zip(&order.job.storyboard.scenes) {
                board.places.push(place);
                board.indexes.push(index);
                board.ids.push(*id);
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
}
