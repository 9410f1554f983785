//! /jobs/{id}/scenes.

use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{id_of, start};

#[sqlx::test(migrations = false)]
async fn listed_in_order_and_shown(pool: PgPool) {
    let app = start(pool).await;
    let campaign = app.lodge().await;
    let body = json!({"campaign_id": campaign, "num_pairs": 2, "clip_duration": 4});
    let job = app.post("/api/v3/jobs/from-image-pairs", body.clone()).await.is(201);
    let other = app.post("/api/v3/jobs/from-image-pairs", body).await.is(201);
    let path = format!("/api/v3/jobs/{}/scenes", job["job_id"]);
    let list = app.get(&path).await.is(200);
    assert_eq!(list["job_id"], job["job_id"]);
    assert_eq!((&list["total_scenes"], &list["completed_scenes"]), (&json!(2), &json!(0)));
    assert_eq!(list["progress_percentage"], 0);
    for (index, scene) in list["scenes"].as_array().expect("scenes").iter().enumerate() {
        assert_eq!(scene["index"], index);
        assert_eq!(scene["id"], job["storyboard"]["scenes"][index]["id"]);
        assert_eq!((&scene["status"], &scene["has_video"]), (&json!("pending"), &json!(false)));
        assert_eq!((&scene["provider_id"], &scene["video_blob_size"]), (&Value::Null, &Value::Null));
        assert!(scene["inserted_at"].is_string() && scene["updated_at"].is_string());
    }
    let scene = id_of(&list["scenes"][1]["id"]);
    let shown = app.get(&format!("{path}/{scene}")).await.is(200);
    assert_eq!(shown["scene"], list["scenes"][1]);
    assert_eq!((&shown["job_id"], &shown["job_status"]), (&job["job_id"], &json!("pending")));

    app.get(&format!("/api/v3/jobs/{}/scenes/{scene}", other["job_id"])).await.is_problem(422, "wrong_job");
    app.get(&format!("{path}/{}", Uuid::nil())).await.is_problem(404, "not_found");
    app.get("/api/v3/jobs/4711/scenes").await.is_problem(404, "not_found");
    app.get(&format!("/api/v3/jobs/4711/scenes/{scene}")).await.is_problem(404, "not_found");
}
