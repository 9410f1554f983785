//! /media/{prediction}/{name}: what a provider fetches.

use secrecy::SecretString;
use serde_json::json;
use spool_db::predictions;
use spool_media::link::LinkSigner;
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{SIGNING_KEY, TestApp, day, id_of, photo, start};

/// A prediction whose input `first` is a stored photo; its id.
pub(crate) async fn prediction(app: &TestApp) -> (Uuid, i64) {
    use spool_db::predictions::{NewIntent, Slot};
    use spool_job::money::Micros;
    use spool_job::prediction::Purpose;
    let campaign = app.lodge().await;
    let body = json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4, "auto_approve": true});
    let job = app.post("/api/v3/jobs/from-image-pairs", body).await.is(201);
    let job_id = job["job_id"].as_i64().expect("an id");
    let assets = app.get("/api/v3/assets?limit=1").await.is(200);
    let digest = assets["data"][0]["digest"].as_str().expect("a digest").to_owned();
    let mut conn = app.pool.acquire().await.expect("a connection");
    let tasks = spool_queue::inspect::tasks_of_group(&mut conn, &spool_job::tasks::group_key(job_id))
        .await
        .expect("tasks");
    let task_id = tasks.iter().find(|task| task.kind == "render").expect("a render").id.0;
    let id = Uuid::now_v7();
    let new = NewIntent {
        id,
        slot: Slot {
            job_id,
            purpose: Purpose::Render,
            scene: Some((id_of(&job["storyboard"]["scenes"][0]["id"]), 1)),
            ordinal: 0,
        },
        attempt: 1,
        task_id,
        lease_token: 1,
        provider: "replicate",
        model: "google/veo-3.1-fast",
        input: &json!({}),
        input_digest: &digest,
        memo_key: &digest,
        media: &json!({"first.jpg": digest}),
        unit: "second",
        unit_price: Micros(1),
        list: Micros(1),
        estimate: Micros(1),
    };
    predictions::intend(&mut conn, &new).await.expect("the intent");
    (id, task_id)
}

#[sqlx::test(migrations = false)]
async fn only_its_signed_link_opens_it(pool: PgPool) {
    let app = start(pool).await;
    let (id, _) = prediction(&app).await;
    let signer = LinkSigner::new(&SecretString::from(SIGNING_KEY)).expect("a signer");
    let path = format!("/api/v3/media/{id}/first.jpg");
    let link = |path: &str| format!("{path}?{}", signer.sign(path, day() + chrono::TimeDelta::hours(2)));
    let answer = app.get_bare(&link(&path)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "image/jpeg");
    assert_eq!(answer.body, photo("terrace-sunset.jpg"), "the newest of the four");

    app.get_bare(&path).await.is_problem(401, "bad_signature");
    app.get(&path).await.is_problem(401, "bad_signature");
    app.get_bare(&link(&format!("/api/v3/media/{id}/last.jpg"))).await.is_problem(404, "not_found");
    app.get_bare(&link(&format!("/api/v3/media/{}/first.jpg", Uuid::nil())))
        .await
        .is_problem(404, "not_found");
    app.clock.advance(chrono::TimeDelta::hours(2));
    app.get_bare(&link(&path)).await.is_problem(401, "bad_signature");
}
