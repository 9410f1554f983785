//! Wishes inside `parameters`, as older clients send them.

use serde_json::json;
use sqlx::PgPool;

use crate::app::start;

#[sqlx::test(migrations = false)]
async fn wishes_may_stand_inside_parameters_and_ours_win_what_is_stored(pool: PgPool) {
    let app = start(pool).await;
    let campaign = app.lodge().await;
    let body = json!({"campaign_id": campaign, "clip_duration": 4, "parameters": {"videoModel": "hailuo-02",
        "resolution": "768p", "clip_duration": 6, "num_pairs": 1, "estimated_cost": 0, "video_name": "mine", "note": "kept"}});
    let job = app.post("/api/v3/jobs/from-image-pairs", body).await.is(201);
    assert_eq!((&job["scene_count"], &job["clip_duration"]), (&json!(1), &json!(4.0)), "the top wins");
    assert_eq!(job["video_name"], "Lodge 1");
    assert!(job["estimated_cost"].as_f64() > Some(0.0));
    let shown = app.get(&format!("/api/v3/jobs/{}", job["job_id"])).await.is(200);
    let parameters = &shown["parameters"];
    assert_eq!(parameters["video_model"], "minimax/hailuo-02");
    assert_eq!(parameters["note"], "kept");
    assert_eq!(parameters["campaign_name"], "Lodge");
    assert_eq!(shown["video_name"], "Lodge 1", "no caller names the video");
    assert_eq!(shown["estimated_cost"], job["estimated_cost"]);
}

/// Postgres writes numbers out in full; what is stored must be readable, to the last bit.
#[sqlx::test(migrations = false)]
async fn the_longest_and_the_smallest_numbers_come_back(pool: PgPool) {
    let app = start(pool).await;
    let numbers = json!([
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        5e-324,
        -1.797_693_134_862_315_5e308,
        0.1,
        i64::MIN,
        u64::MAX
    ]);
    let body =
        json!({"campaign_id": app.lodge().await, "num_pairs": 1, "parameters": {"note": numbers.clone()}});
    let job = app.post("/api/v3/jobs/from-image-pairs", body).await.is(201);
    let shown = app.get(&format!("/api/v3/jobs/{}", job["job_id"])).await.is(200);
    assert_eq!(shown["parameters"]["note"], numbers);
}
