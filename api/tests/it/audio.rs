//! /audio: the music of jobs. Asking for it twice buys nothing twice.

use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{BASE, TestApp, start};
use crate::assets::wav;
use crate::clips::with_clip;
use crate::videos::completed;

const GENERATE: &str = "/api/v3/audio/generate-scenes";

async fn silent_job(app: &TestApp) -> i64 {
    let campaign = app.lodge().await;
    let body = json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4, "music": false});
    app.post("/api/v3/jobs/from-image-pairs", body).await.is(201)["job_id"].as_i64().expect("an id")
}

async fn status(app: &TestApp, job: i64) -> Value {
    app.get(&format!("/api/v3/audio/status/{job}")).await.is(200)
}

/// In milliseconds.
async fn fade(app: &TestApp, job: i64) -> u32 {
    let mut conn = app.pool.acquire().await.expect("a connection");
    spool_db::jobs::show(&mut conn, job, None).await.expect("read").expect("a job").spec.music_fade_ms
}

#[sqlx::test(migrations = false)]
async fn music_can_be_asked_for_before_approval(pool: PgPool) {
    let app = start(pool).await;
    let job = silent_job(&app).await;
    assert_eq!(status(&app, job).await["status"], "none");
    let before = app.get(&format!("/api/v3/jobs/{job}")).await.is(200);
    let body = json!({"jobId": job, "audio_params": {"prompt": "slow harp", "errorStrategy": "halt", "fade_duration": 1.0,
        "merge_with_video": false, "sync_mode": "trim"}});
    let accepted = app.post(GENERATE, body.clone()).await.is(202);
    assert_eq!((&accepted["job_id"], &accepted["status"]), (&json!(job), &json!("pending")));
    assert!(accepted["audio_status"]["started_at"].is_string());
    assert_eq!(accepted["audio_status"]["estimated_duration"], 10);
    let after = app.get(&format!("/api/v3/jobs/{job}")).await.is(200);
    assert_eq!(after["storyboard"]["scenes"][0]["music_prompt"], "slow harp");
    assert_eq!(fade(&app, job).await, 1000);
    assert!(
        after["estimated_cost"].as_f64() > before["estimated_cost"].as_f64(),
        "priced anew, before approval"
    );
    assert_eq!(app.post(GENERATE, body).await.is(202)["status"], "pending", "a second time changes nothing");
    assert_eq!(
        app.get(&format!("/api/v3/jobs/{job}")).await.is(200)["estimated_cost"],
        after["estimated_cost"]
    );
    assert_eq!(status(&app, job).await["status"], "pending");
    // What is approved now includes the music.
    app.post(&format!("/api/v3/jobs/{job}/approve"), json!({})).await.is(200);
    let mut conn = app.pool.acquire().await.expect("a connection");
    let tasks = spool_queue::inspect::tasks_of_group(&mut conn, &spool_job::tasks::group_key(job))
        .await
        .expect("tasks");
    assert!(tasks.iter().any(|task| task.kind == "music"));
}

#[sqlx::test(migrations = false)]
async fn a_completed_job_gets_music_as_a_new_revision(pool: PgPool) {
    let app = start(pool).await;
    let job = completed(&app, b"a film").await;
    #[expect(clippy::disallowed_methods, reason = "as if it had been asked for without music")]
    sqlx::query("UPDATE jobs SET spec = jsonb_set(spec, '{music}', 'false')")
        .execute(&app.pool)
        .await
        .expect("silent");
    assert_eq!(status(&app, job).await["status"], "none");
    app.post(GENERATE, json!({"job_id": job})).await.is(202);
    let shown = app.get(&format!("/api/v3/jobs/{job}")).await.is(200);
    assert_eq!((&shown["status"], &shown["revision"]), (&json!("approved"), &json!(2)));
    let mut conn = app.pool.acquire().await.expect("a connection");
    let count = || async {
        let mut conn = app.pool.acquire().await.expect("a connection");
        spool_queue::inspect::tasks_of_group(&mut conn, &spool_job::tasks::group_key(job))
            .await
            .expect("tasks")
            .len()
    };
    let tasks = spool_queue::inspect::tasks_of_group(&mut conn, &spool_job::tasks::group_key(job))
        .await
        .expect("tasks");
    assert!(tasks.iter().any(|task| task.kind == "music") && tasks.iter().any(|task| task.kind == "mix"));
    app.post(GENERATE, json!({"job_id": job})).await.is(202);
    assert_eq!(count().await, tasks.len(), "nothing is bought twice");
    assert_eq!(app.get(&format!("/api/v3/jobs/{job}")).await.is(200)["revision"], 2);
}

#[sqlx::test(migrations = false)]
async fn what_is_there_is_shown_and_fetched(pool: PgPool) {
    let app = start(pool).await;
    let job = completed(&app, b"a film").await;
    app.get(&format!("/api/v3/audio/{job}/download")).await.is_problem(404, "not_found");
    assert_eq!(status(&app, job).await["status"], "failed", "music was wanted, and there is none");
    let (_, stretch) = with_clip(&app, job).await;
    let shown = status(&app, job).await;
    assert_eq!((&shown["status"], &shown["merged_with_video"]), (&json!("completed"), &json!(true)));
    assert_eq!((&shown["size"], &shown["error"]), (&json!(wav().len()), &Value::Null));
    assert!(shown["generated_at"].is_string());
    assert_eq!(shown["segments"][0]["id"], json!(stretch));
    for link in [&shown["audio_url"], &shown["segments"][0]["url"]] {
        let link = link.as_str().and_then(|link| link.strip_prefix(BASE)).expect("ours");
        let answer = app.get_bare(link).await;
        assert_eq!((answer.status.as_u16(), &answer.body), (200, &wav()), "{link}");
        let part = app.get_with(link, "range", "bytes=0-3").await;
        assert_eq!((part.status.as_u16(), &part.body[..]), (206, &b"RIFF"[..]));
    }
    let saved = app.get(&format!("/api/v3/audio/{job}/download")).await;
    assert!(saved.header("content-disposition").starts_with("attachment; filename=\"Lodge 1.m4a\""));
    let again =
        app.get_with(&format!("/api/v3/audio/{job}/download"), "if-none-match", saved.header("etag")).await;
    assert_eq!(again.status, 304);
    app.get_bare(&format!("/api/v3/audio/segments/{stretch}")).await.is_problem(401, "unauthorized");
    app.get(&format!("/api/v3/audio/segments/{}", Uuid::nil())).await.is_problem(404, "not_found");
}

#[sqlx::test(migrations = false)]
async fn wishes_that_cannot_be_are_refused(pool: PgPool) {
    let app = start(pool).await;
    app.post(GENERATE, json!({})).await.is_problem(400, "missing_parameter");
    app.post(GENERATE, json!({"job_id": 4711})).await.is_problem(404, "not_found");
    app.post(GENERATE, json!({"job_id": "x"})).await.is_problem(422, "validation_failed");
    let job = silent_job(&app).await;
    for params in [
        json!({"sync_mode": "stretch"}),
        json!({"error_strategy": "explode"}),
        json!({"prompt": "x".repeat(2001)}),
        json!({"fade_duration": -0.1}),
        json!({"fade_duration": 10.1}),
        json!({"merge_with_video": "yes"}),
    ] {
        app.post(GENERATE, json!({"job_id": job, "audio_params": params}))
            .await
            .is_problem(422, "validation_failed");
    }
    app.post(&format!("/api/v3/jobs/{job}/cancel"), json!({})).await;
    let problem = app.post(GENERATE, json!({"job_id": job})).await.is_problem(422, "not_retryable");
    assert_eq!(problem["current_status"], "canceled");
    app.get("/api/v3/audio/status/4711").await.is_problem(404, "not_found");
}
