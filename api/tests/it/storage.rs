//! What there is and what it has cost: statistics of clients and campaigns, and of the store.

use serde_json::{Value, json};
use spool_db::predictions::{self, End};
use spool_job::money::Micros;
use spool_job::prediction::PredictionState;
use sqlx::PgPool;

use crate::app::{id_of, start};
use crate::clips::with_clip;
use crate::media::prediction;
use crate::videos::completed;

#[sqlx::test(migrations = false)]
async fn stats_count_what_was_really_spent(pool: PgPool) {
    let app = start(pool).await;
    let (bought, _) = prediction(&app).await;
    let campaign = app.get("/api/v3/campaigns").await.is(200)["data"][0].clone();
    let (campaign, client) = (id_of(&campaign["id"]), id_of(&campaign["clientId"]));
    let before = app.get(&format!("/api/v3/clients/{client}/stats")).await.is(200)["data"].clone();
    assert_eq!((&before["totalSpend"], &before["reserved_micros"]), (&json!(0.0), &Value::Null));
    assert_eq!(before["reservedMicros"], 1, "held, not spent");
    let mut conn = app.pool.acquire().await.expect("a connection");
    predictions::submitted(&mut conn, bought, "ext", false).await.expect("submitted");
    let end = End {
        state: PredictionState::Succeeded,
        output_url: Some("https://cdn/x.mp4"),
        units: Some(4.0),
        cost: Micros(1_500_000),
        failure: None,
    };
    predictions::ended(&mut conn, bought, &end).await.expect("ended");
    let body = json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4});
    app.post("/api/v3/jobs/from-image-pairs", body).await.is(201);
    let other = app.client("Other").await;

    let stats = app.get(&format!("/api/v3/clients/{client}/stats")).await.is(200)["data"].clone();
    assert_eq!(
        (&stats["campaignCount"], &stats["videoCount"], &stats["completedCount"]),
        (&json!(1), &json!(2), &json!(0))
    );
    assert_eq!((&stats["totalSpend"], &stats["totalSpendMicros"]), (&json!(1.5), &json!(1_500_000)));
    assert_eq!((&stats["reservedMicros"], &stats["assetCount"]), (&json!(0), &json!(4)));
    assert!(stats["assetBytes"].as_i64() > Some(1000));
    let answer = app.get(&format!("/api/v3/campaigns/{campaign}/stats")).await.is(200);
    assert_eq!(
        (&answer["videoCount"], &answer["totalSpend"], &answer["avgCost"]),
        (&json!(2), &json!(1.5), &json!(0.75))
    );
    assert_eq!(answer["data"]["totalSpend"], answer["totalSpend"], "in an envelope, too");
    let nothing = app.get(&format!("/api/v3/clients/{other}/stats")).await.is(200)["data"].clone();
    assert_eq!((&nothing["totalSpend"], &nothing["videoCount"]), (&json!(0.0), &json!(0)));
    for noun in ["clients", "campaigns"] {
        app.get(&format!("/api/v3/{noun}/{}/stats", uuid::Uuid::nil())).await.is_problem(404, "not_found");
    }
}

#[sqlx::test(migrations = false)]
async fn the_store_is_counted_by_content(pool: PgPool) {
    let app = start(pool).await;
    let empty = app.get("/api/v3/admin/storage").await.is(200)["data"].clone();
    assert_eq!((&empty["total"], &empty["by_type"]), (&json!({"files": 0, "bytes": 0}), &json!([])));
    let job = completed(&app, b"a film").await;
    let campaign = id_of(&app.get(&format!("/api/v3/jobs/{job}")).await.is(200)["campaign_id"]);
    // The same photo again is the same content.
    app.upload(campaign, &["living-room.jpg"]).await;
    with_clip(&app, job).await;
    let stored = app.get("/api/v3/admin/storage").await.is(200)["data"].clone();
    assert_eq!(stored["assets"]["files"], 4);
    assert_eq!(stored["videos"], json!({"files": 1, "bytes": 6}));
    assert_eq!(stored["clips"]["files"], 1);
    let sum = |field: &str| -> i64 {
        stored["by_type"]
            .as_array()
            .expect("types")
            .iter()
            .map(|one| one[field].as_i64().expect("a number"))
            .sum()
    };
    assert_eq!(
        (json!(sum("files")), json!(sum("bytes"))),
        (stored["total"]["files"].clone(), stored["total"]["bytes"].clone())
    );
}

#[sqlx::test(migrations = false)]
async fn how_a_video_did(pool: PgPool) {
    let app = start(pool).await;
    let job = completed(&app, b"a film").await;
    let path = format!("/api/v3/videos/{job}/metrics");
    assert_eq!(app.get(&path).await.is(200)["views"], Value::Null);
    let patch = |body: Value| {
        let (app, path) = (&app, &path);
        async move { app.json(http::Method::PATCH, path, &body).await }
    };
    assert_eq!(patch(json!({"views": 200, "clicks": 10})).await.is(200)["ctr"], 0.05, "reckoned");
    let reported = patch(json!({"ctr": 0.25, "conversions": 2})).await.is(200);
    assert_eq!(
        (&reported["views"], &reported["ctr"], &reported["conversions"]),
        (&json!(200), &json!(0.25), &json!(2))
    );
    assert_eq!(app.get(&path).await.is(200), reported);
    for (body, field) in [
        (json!({"views": -1}), "views"),
        (json!({"ctr": 1.5}), "ctr"),
        (json!({"conversions": -2}), "conversions"),
        (json!({"clicks": "x"}), "clicks"),
    ] {
        let problem = patch(body).await.is_problem(422, "validation_failed");
        assert!(problem["details"][field].is_array(), "{problem}");
    }
    app.get("/api/v3/videos/4711/metrics").await.is_problem(404, "not_found");
}
