//! Scenes are edited, put in order, taken out and made anew; the price follows, and what was approved is approved again.

use http::Method;
use serde_json::{Value, json};
use spool_db::jobs::{self, Conclusion};
use spool_db::media::{self, MediaRow};
use spool_db::scenes;
use spool_job::state::SceneState;
use spool_job::tasks::group_key;
use spool_queue::control;
use sqlx::PgPool;

use crate::app::{Answer, TestApp, start};

const CLIP: &str = "1111111111111111111111111111111111111111111111111111111111111111";

pub(crate) struct Board {
    pub(crate) path: String,
    id: i64,
}

impl Board {
    /// A job of two scenes of four seconds.
    pub(crate) async fn new(app: &TestApp) -> Self {
        let body = json!({"campaign_id": app.lodge().await, "num_pairs": 2, "clip_duration": 4});
        let job = app.post("/api/v3/jobs/from-image-pairs", body).await.is(201);
        let id = job["job_id"].as_i64().expect("a number");
        Self { path: format!("/api/v3/jobs/{id}"), id }
    }

    async fn shown(&self, app: &TestApp) -> Value {
        app.get(&self.path).await.is(200)
    }

    pub(crate) async fn ids(&self, app: &TestApp) -> Vec<String> {
        let job = self.shown(app).await;
        let scenes = job["storyboard"]["scenes"].as_array().expect("scenes");
        scenes.iter().map(|scene| scene["id"].as_str().expect("an id").to_owned()).collect()
    }

    async fn put(&self, app: &TestApp, scene: &str, body: Value) -> Answer {
        app.json(Method::PUT, &format!("{}/scenes/{scene}", self.path), &body).await
    }

    async fn delete(&self, app: &TestApp, scene: &str) -> Answer {
        app.json(Method::DELETE, &format!("{}/scenes/{scene}", self.path), &json!({})).await
    }

    /// As if workers had rendered all clips, and then the job had ended without a video.
    pub(crate) async fn rendered(&self, app: &TestApp) {
        app.post(&format!("{}/approve", self.path), json!({})).await.is(200);
        let mut tx = app.pool.begin().await.expect("a transaction");
        let row = MediaRow {
            digest: CLIP.to_owned(),
            bytes: 1,
            content_type: "video/mp4".to_owned(),
            width: None,
            height: None,
            duration_ms: None,
        };
        media::record(&mut tx, &row).await.expect("recorded");
        for scene in scenes::list(&mut tx, self.id).await.expect("scenes") {
            for (state, clip) in [(SceneState::Processing, None), (SceneState::Completed, Some(CLIP))] {
                assert!(
                    scenes::move_to(&mut tx, scene.id, scene.version, state, clip, None)
                        .await
                        .expect("moved")
                );
            }
        }
        let end = Conclusion::Failed { code: "mix_failed".into(), error: "no".into() };
        jobs::conclude(&mut tx, self.id, &end).await.expect("ended");
        control::cancel_group(&mut tx, &group_key(self.id), "a test")
            .await
            .expect("they end")
            .bell
            .ring(&app.pool)
            .await;
        tx.commit().await.expect("committed");
    }
}

#[sqlx::test(migrations = false)]
async fn words_and_lengths_change_before_the_approval_and_the_price_follows(pool: PgPool) {
    let app = start(pool).await;
    let board = Board::new(&app).await;
    let before = board.shown(&app).await;
    let ids = board.ids(&app).await;
    let done = board
        .put(&app, &ids[0], json!({"prompt": "  At\ndusk ", "duration": 6, "title": "Dusk"}))
        .await
        .is(200);
    assert_eq!((&done["job_id"], &done["job_status"]), (&json!(board.id), &json!("pending")));
    let scene = &done["scene"];
    assert_eq!((&scene["prompt"], &scene["title"]), (&json!("At dusk"), &json!("Dusk")));
    assert_eq!((&scene["duration"], &scene["version"]), (&json!(6.0), &json!(2)));
    assert!(done["message"].is_string());
    let after = board.shown(&app).await;
    assert_eq!(after["estimated_cost"], done["estimated_cost"]);
    // Two seconds more of a clip at ten cents, and of music.
    let more = after["costs"]["estimated_micros"].as_i64().expect("micros")
        - before["costs"]["estimated_micros"].as_i64().expect("micros");
    assert_eq!(more, 200_000 + 23_100);
    assert_eq!(after["storyboard"]["total_duration"], 10.0);

    let same = board.put(&app, &ids[0], done["scene"].clone()).await.is(200);
    assert_eq!(same["scene"]["version"], 2, "sent back as it came it changes nothing");
    let titled = app
        .json(Method::PATCH, &format!("{}/scenes/{}", board.path, ids[0]), &json!({"title": "Night"}))
        .await;
    assert_eq!(
        (&titled.is(200)["scene"]["title"], &titled.json()["scene"]["version"]),
        (&json!("Night"), &json!(2))
    );

    for (body, field) in [
        (json!({"title": " "}), "title"),
        (json!({"prompt": ""}), "prompt"),
        (json!({"prompt": "x".repeat(2001)}), "prompt"),
        (json!({"duration": 0}), "duration"),
        (json!({"duration": 9}), "duration"),
        (json!({"duration": 61}), "duration"),
        (json!({"status": "completed"}), "status"),
        (json!({"provider_id": "abc"}), "provider_id"),
    ] {
        let problem = board.put(&app, &ids[0], body.clone()).await.is_problem(422, "validation_failed");
        assert!(problem["details"][field].is_array(), "{body}: {problem}");
    }
    let other = Board::new(&app).await;
    other.put(&app, &ids[0], json!({"title": "x"})).await.is_problem(422, "wrong_job");
    let nobody = uuid::Uuid::nil().to_string();
    board.put(&app, &nobody, json!({"title": "x"})).await.is_problem(404, "not_found");

    app.post(&format!("{}/approve", board.path), json!({})).await.is(200);
    let busy = board.put(&app, &ids[0], json!({"title": "x"})).await.is_problem(422, "not_pending");
    assert_eq!(busy["current_status"], "approved");
    board.delete(&app, &ids[0]).await.is_problem(422, "not_pending");
}

#[sqlx::test(migrations = false)]
async fn scenes_are_put_in_order_and_taken_out(pool: PgPool) {
    let app = start(pool).await;
    let board = Board::new(&app).await;
    let ids = board.ids(&app).await;
    let reorder = async |order: Value| {
        app.post(&format!("{}/reorder", board.path), json!({"scene_order": order})).await
    };
    let turned = reorder(json!([ids[1], ids[0]])).await.is(200);
    assert_eq!((&turned["scenes"][0]["id"], &turned["scenes"][0]["index"]), (&json!(ids[1]), &json!(0)));
    assert_eq!(board.ids(&app).await, [ids[1].clone(), ids[0].clone()]);
    reorder(json!([2, 1])).await.is(200);
    assert_eq!(board.ids(&app).await, ids, "numbers count from 1");
    for order in [
        json!([1]),
        json!([1, 1]),
        json!([1, 2, 3]),
        json!([0, 1]),
        json!(["x", 1]),
        json!(null),
        json!([ids[0], 1]),
    ] {
        let problem = reorder(order.clone()).await.is_problem(422, "validation_failed");
        assert!(problem["details"]["scene_order"].is_array(), "{order}");
    }
    let price = board.shown(&app).await["estimated_cost"].as_f64().expect("a price");
    let gone = board.delete(&app, &ids[0]).await.is(200);
    assert_eq!((&gone["scene_id"], &gone["job_id"]), (&json!(ids[0]), &json!(board.id)));
    assert!(gone["message"].is_string());
    let left = app.get(&format!("{}/scenes", board.path)).await.is(200);
    assert_eq!(
        (&left["total_scenes"], &left["scenes"][0]["id"], &left["scenes"][0]["index"]),
        (&json!(1), &json!(ids[1]), &json!(0))
    );
    assert!(
        (board.shown(&app).await["estimated_cost"].as_f64().expect("a price") - price / 2.0).abs() < 1e-9
    );
    board.delete(&app, &ids[0]).await.is_problem(404, "not_found");
    board.delete(&app, &ids[1]).await.is_problem(422, "last_scene");
    assert_eq!(app.post(&format!("{}/approve", board.path), json!({})).await.is(200)["status"], "approved");
}

#[sqlx::test(migrations = false)]
async fn a_clip_is_made_anew_after_the_end_with_its_price_first(pool: PgPool) {
    let app = start(pool).await;
    let board = Board::new(&app).await;
    let ids = board.ids(&app).await;
    let path = format!("{}/scenes/{}/regenerate", board.path, ids[0]);
    app.post(&path, json!({})).await.is_problem(422, "not_regenerable");
    board.rendered(&app).await;
    let dry = app.post(&path, json!({"dry_run": true, "prompt": "At dusk"})).await.is(200);
    let purchase = &dry["purchase"];
    assert_eq!((&purchase["dry_run"], &purchase["revision"]), (&json!(true), &json!(2)));
    assert_eq!((&dry["scene"]["version"], &dry["scene"]["prompt"]), (&json!(2), &json!("At dusk")));
    let shown = board.shown(&app).await;
    assert_eq!((&shown["status"], &shown["revision"]), (&json!("failed"), &json!(1)), "nothing was changed");
    assert_eq!(shown["storyboard"]["scenes"][0]["version"], 1);
    let price = purchase["buys"]["micros"].as_i64().expect("a price");
    app.post(&path, json!({"max_cost_micros": price - 1})).await.is_problem(422, "validation_failed");

    let done = app.post(&path, json!({"max_cost_micros": price})).await.is(200);
    assert_eq!((&done["job_id"], &done["purchase"]["status"]), (&json!(board.id), &json!("approved")));
    assert_eq!((&done["scene"]["status"], &done["scene"]["has_video"]), (&json!("pending"), &json!(false)));
    let shown = board.shown(&app).await;
    assert_eq!((&shown["status"], &shown["revision"]), (&json!("approved"), &json!(2)));
    let versions: Vec<&Value> = shown["storyboard"]["scenes"]
        .as_array()
        .expect("scenes")
        .iter()
        .map(|scene| &scene["version"])
        .collect();
    assert_eq!(versions, [&json!(2), &json!(1)], "the other clip is kept");
    app.post(&path, json!({})).await.is_problem(422, "not_pending");
}

#[sqlx::test(migrations = false)]
async fn an_edit_after_the_end_has_to_be_approved_again(pool: PgPool) {
    let app = start(pool).await;
    let board = Board::new(&app).await;
    let ids = board.ids(&app).await;
    board.rendered(&app).await;
    let titled = board.put(&app, &ids[0], json!({"title": "Another"})).await.is(200);
    assert_eq!(titled["job_status"], "failed", "a title needs no clip");
    let edited = board.put(&app, &ids[0], json!({"prompt": "At dusk"})).await.is(200);
    assert_eq!((&edited["job_status"], &edited["scene"]["version"]), (&json!("pending"), &json!(2)));
    assert_eq!(
        (&edited["scene"]["status"], &edited["scene"]["has_video"]),
        (&json!("pending"), &json!(false))
    );
    let shown = board.shown(&app).await;
    assert_eq!((&shown["revision"], &shown["progress_percentage"]), (&json!(2), &json!(0)));
    assert_eq!((&shown["error"], &shown["finished_at"]), (&Value::Null, &Value::Null));
    assert_eq!(shown["storyboard"]["scenes"][1]["status"], "completed", "the other clip is kept");
    assert_eq!(app.post(&format!("{}/approve", board.path), json!({})).await.is(200)["status"], "approved");
}

#[sqlx::test(migrations = false)]
async fn refinements_are_few(pool: PgPool) {
    let app = start(pool).await;
    let board = Board::new(&app).await;
    let refine = async |body: Value| app.post(&format!("{}/refine", board.path), body).await;
    for body in [
        json!({}),
        json!({"scene_number": 1}),
        json!({"prompt": "x"}),
        json!({"scene_number": 3, "prompt": "x"}),
    ] {
        refine(body).await.is_problem(422, "validation_failed");
    }
    for turn in 1..=5 {
        let body =
            json!({"scene_number": 2, "new_image_prompt": format!("turn {turn}"), "new_description": "d"});
        let done = refine(body).await.is(200);
        assert_eq!(
            (&done["scene"]["index"], &done["scene"]["prompt"]),
            (&json!(1), &json!(format!("turn {turn}")))
        );
    }
    refine(json!({"scene_number": 2, "prompt": "once more"})).await.is_problem(429, "too_many_refinements");
    let ids = board.ids(&app).await;
    board.put(&app, &ids[1], json!({"prompt": "an edit"})).await.is(200);
}
