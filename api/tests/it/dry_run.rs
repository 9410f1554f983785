//! /jobs/dry-run: the price of each kind of job, with the budgets it would fit in; nothing is written.

use http::Method;
use serde_json::{Value, json};
use spool_db::keys::Scope;
use sqlx::PgPool;

use crate::app::{TestApp, start};

const DRY_RUN: &str = "/api/v3/jobs/dry-run";

#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn jobs(app: &TestApp) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM jobs").fetch_one(&app.pool).await.expect("a count")
}

#[sqlx::test(migrations = false)]
async fn it_says_what_each_creation_would_cost_and_writes_nothing(pool: PgPool) {
    let app = start(pool).await;
    let campaign = app.lodge().await;
    let pairs = json!({"campaign_id": campaign, "num_pairs": 2, "clip_duration": 4});
    let property = json!({"campaignId": campaign, "propertyTypes": ["exterior"]});
    let scenes = json!({"campaign_id": campaign, "num_scenes": 1, "music": false});
    let mut priced = Vec::new();
    for body in [&pairs, &property, &scenes] {
        priced.push(app.post(DRY_RUN, body.clone()).await.is(200));
    }
    assert_eq!(jobs(&app).await, 0);
    let without = json!({"num_scenes": 1, "music": false});
    for (dry, created) in priced.iter().zip([
        app.post("/api/v3/jobs/from-image-pairs", pairs).await.is(201),
        app.post("/api/v3/jobs/from-property-photos", property).await.is(201),
    ]) {
        for member in ["type", "scene_count", "total_assets", "estimated_cost", "client_id", "campaign_id"] {
            assert_eq!(dry[member], created[member], "{member}");
        }
        assert_eq!(dry["costs"], created["costs"], "the estimate of both is the same, budgets included");
        assert_eq!((&dry["dry_run"], &dry["fits"]), (&json!(true), &json!(true)));
    }
    let created = app.post(&format!("/api/v3/campaigns/{campaign}/create-job"), without).await.is(201);
    assert_eq!(priced[2]["estimated_cost"], created["data"]["estimated_cost"]);
    assert_eq!(priced[2]["costs"]["estimated_micros"], 400_000);
    assert_eq!(priced[2]["costs"]["learned_p95_micros"], Value::Null, "nothing was bought yet");
}

#[sqlx::test(migrations = false)]
#[expect(clippy::disallowed_methods, reason = "how it is learned is tested where purchases are")]
async fn what_such_purchases_cost_stands_beside_the_list_price(pool: PgPool) {
    let app = start(pool).await;
    let learned = "INSERT INTO learned_costs (model, unit, p95_permille, samples) VALUES ('google/veo-3.1-fast', 'second', 2000, 20)";
    sqlx::query(learned).execute(&app.pool).await.expect("as after twenty purchases");
    let campaign = app.lodge().await;
    let body = json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4, "music": false});
    let dry = app.post(DRY_RUN, body.clone()).await.is(200);
    assert_eq!((&dry["costs"]["estimated_micros"], &dry["estimated_cost"]), (&json!(400_000), &json!(0.4)));
    assert_eq!(dry["costs"]["learned_p95_micros"], 800_000, "{dry}");
    assert_eq!(dry["costs"]["lines"][0]["micros"], 400_000);
    assert_eq!(dry["costs"]["lines"][0]["learned_p95_micros"], 800_000);
    let job = app.post("/api/v3/jobs/from-image-pairs", body).await.is(201);
    assert_eq!(job["costs"]["learned_p95_micros"], 800_000);
    let listed = app.get("/api/v3/jobs?limit=1").await.is(200);
    assert_eq!(listed["data"][0]["costs"]["lines"], dry["costs"]["lines"]);
}

#[sqlx::test(migrations = false)]
async fn it_names_the_budgets_that_it_would_not_fit_in(pool: PgPool) {
    let app = start(pool).await;
    let campaign = app.lodge().await;
    let body = json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4, "music": false});
    let limit =
        json!({"scope": "campaign", "scope_id": campaign, "period": "total", "hard_limit_micros": 300_000});
    app.json(Method::PUT, "/api/v3/admin/budgets", &limit).await.is(200);
    app.json(Method::POST, "/api/v3/admin/budgets/stop", &json!({"why": "a test"})).await.is(200);
    let dry = app.post(DRY_RUN, body.clone()).await.is(200);
    assert_eq!((&dry["fits"], &dry["spending_stopped"]), (&json!(false), &json!("a test")));
    let budgets = &dry["costs"]["budgets"];
    assert_eq!((&budgets[0]["scope"], &budgets[0]["fits"]), (&json!("all"), &json!(true)), "{budgets}");
    assert_eq!(budgets[0]["left"]["micros"], 150_000_000);
    assert_eq!((&budgets[1]["scope"], &budgets[1]["fits"]), (&json!("campaign"), &json!(false)));
    assert_eq!(
        (&budgets[1]["left"]["micros"], &budgets[1]["missing"]["micros"]),
        (&json!(300_000), &json!(100_000))
    );

    // A job shows the same until it has ended, and a bound key does not see what all clients have left.
    let job = app.post("/api/v3/jobs/from-image-pairs", body).await.is(201);
    let path = format!("/api/v3/jobs/{}", job["job_id"]);
    assert_eq!(&app.get(&path).await.is(200)["costs"]["budgets"], budgets);
    let client = job["client_id"].as_str().and_then(|id| id.parse().ok());
    let bound = TestApp { key: app.new_key(&[Scope::Write], client).await, ..app };
    let shown = bound.get(&path).await.is(200);
    let budgets = &shown["costs"]["budgets"];
    assert_eq!((&budgets[0]["fits"], &budgets[0]["left"]), (&json!(true), &Value::Null), "{budgets}");
    assert_eq!(budgets[1]["left"]["micros"], 300_000);
}

#[sqlx::test(migrations = false)]
async fn what_makes_no_job_is_refused_as_by_the_creation(pool: PgPool) {
    let app = start(pool).await;
    let campaign = app.lodge().await;
    for (body, status, code) in [
        (json!({"num_pairs": 1}), 400, "missing_parameter"),
        (json!({"type": "campaign"}), 400, "missing_parameter"),
        (json!({"type": "campaign", "campaign_id": "x"}), 422, "validation_failed"),
        (json!({"type": "film", "campaign_id": campaign}), 422, "validation_failed"),
        (json!({"type": 7, "campaign_id": campaign}), 422, "validation_failed"),
        (json!({"campaign_id": campaign, "num_pairs": 0}), 422, "validation_failed"),
        (json!({"campaign_id": campaign, "video_model": "skyreels"}), 422, "validation_failed"),
        (json!({"campaign_id": uuid::Uuid::now_v7()}), 404, "not_found"),
    ] {
        app.post(DRY_RUN, body).await.is_problem(status, code);
    }
    let reader = TestApp { key: app.new_key(&[Scope::Read], None).await, ..app };
    reader.post(DRY_RUN, json!({"campaign_id": campaign})).await.is_problem(403, "forbidden");
}
