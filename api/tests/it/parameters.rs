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
