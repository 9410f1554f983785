//! GET /jobs and DELETE /jobs/{id}.

use http::Method;
use serde_json::{Value, json};
use spool_db::jobs::{self, Conclusion};
use spool_db::keys::Scope;
use sqlx::PgPool;

use crate::app::{TestApp, start};
use crate::videos::completed;

const JOBS: &str = "/api/v3/jobs";

fn ids(list: &Value) -> Vec<i64> {
    list["data"].as_array().expect("a list").iter().filter_map(|job| job["job_id"].as_i64()).collect()
}

async fn found(app: &TestApp, query: &str) -> Vec<i64> {
    ids(&app.get(&format!("{JOBS}?{query}")).await.is(200))
}

async fn fail(app: &TestApp, job: i64) {
    let mut tx = app.pool.begin().await.expect("a transaction");
    let end = Conclusion::Failed { code: "scene_failed".into(), error: "scene 1: too 100% dark".into() };
    jobs::conclude(&mut tx, job, &end).await.expect("it ends");
    tx.commit().await.expect("committed");
}

#[sqlx::test(migrations = false)]
async fn pages_show_each_job_once_whatever_comes_meanwhile(pool: PgPool) {
    let app = start(pool).await;
    let campaign = app.lodge().await;
    let body = json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4});
    let mut made = Vec::new();
    let create = async || {
        app.post("/api/v3/jobs/from-image-pairs", body.clone()).await.is(201)["job_id"]
            .as_i64()
            .expect("an id")
    };
    for _ in 0..5 {
        made.insert(0, create().await);
    }
    let first = app.get(&format!("{JOBS}?limit=2")).await.is(200);
    assert_eq!(ids(&first), made[..2], "newest first");
    assert_eq!((&first["meta"]["limit"], &first["meta"]["count"]), (&json!(2), &json!(2)));
    create().await;
    let mut seen = ids(&first);
    let mut cursor = first["meta"]["next_cursor"].clone();
    while let Some(word) = cursor.as_str() {
        let page = app.get(&format!("{JOBS}?limit=2&cursor={word}")).await.is(200);
        seen.extend(ids(&page));
        cursor = page["meta"]["next_cursor"].clone();
    }
    assert_eq!(seen, made, "each once, and the new one shifts nothing");
    let job = &first["data"][0];
    for member in [
        "type",
        "status",
        "video_name",
        "estimated_cost",
        "progress_percentage",
        "current_stage",
        "inserted_at",
    ] {
        assert!(!job[member].is_null(), "{member}: {job}");
    }
    assert_eq!(
        (&job["scene_count"], &job["settled_cost"], &job["video_url"]),
        (&json!(1), &json!(0.0), &Value::Null)
    );
    assert_eq!(found(&app, "limit=0").await.len(), 1, "moved to the nearest bound");
    assert_eq!(found(&app, "limit=9999").await.len(), 6);
    for query in ["cursor=x", "limit=x", "state=done", "kind=film", "from=yesterday", "client_id=x"] {
        app.get(&format!("{JOBS}?{query}")).await.is_problem(400, "invalid_query");
    }
}

#[sqlx::test(migrations = false)]
async fn filters_find_what_they_say(pool: PgPool) {
    let mut app = start(pool).await;
    let (one, other) = (app.lodge().await, app.lodge().await);
    let body = |campaign| json!({"campaign_id": campaign, "num_pairs": 1, "clip_duration": 4});
    let mut jobs = Vec::new();
    for (path, campaign) in
        [("from-image-pairs", one), ("from-property-photos", one), ("from-image-pairs", other)]
    {
        let job = app.post(&format!("{JOBS}/{path}"), body(campaign)).await.is(201);
        jobs.push((job["job_id"].as_i64().expect("an id"), job));
    }
    let [a, b, c] = [jobs[0].0, jobs[1].0, jobs[2].0];
    app.post(&format!("{JOBS}/{c}/approve"), json!({})).await.is(200);
    fail(&app, b).await;
    let client = jobs[0].1["client_id"].as_str().expect("a client");
    for (query, wanted) in [
        ("state=pending".to_owned(), vec![a]),
        ("status=failed,approved".to_owned(), vec![c, b]),
        ("kind=property_photos".to_owned(), vec![b]),
        ("type=image_pairs".to_owned(), vec![c, a]),
        (format!("campaign_id={one}"), vec![b, a]),
        (format!("clientId={client}&state=pending"), vec![a]),
        ("q=100%25".to_owned(), vec![b]),
        ("q=100_".to_owned(), vec![]),
        (format!("q={c}"), vec![c]),
        ("q=natural%20LIGHT&state=pending".to_owned(), vec![a]),
        ("from=2000-01-01T00:00:00Z".to_owned(), vec![c, b, a]),
        ("to=2000-01-01T00:00:00Z".to_owned(), vec![]),
    ] {
        assert_eq!(found(&app, &query).await, wanted, "{query}");
    }
    app.key = app.new_key(&[Scope::Read], Some(client.parse().expect("an id"))).await;
    assert_eq!(found(&app, "").await, [b, a], "a bound key sees what is its client's");
    assert_eq!(found(&app, &format!("campaign_id={other}")).await, Vec::<i64>::new());
}

#[sqlx::test(migrations = false)]
async fn only_what_has_ended_is_deleted_and_the_books_stay(pool: PgPool) {
    let app = start(pool).await;
    let id = app.job().await;
    let path = format!("{JOBS}/{id}");
    let delete = async |app: &TestApp, path: &str| app.json(Method::DELETE, path, &json!({})).await;
    let live = delete(&app, &path).await.is_problem(409, "not_ended");
    assert_eq!(live["current_status"], "pending");
    app.post(&format!("{path}/cancel"), json!({})).await.is(200);
    let done = delete(&app, &path).await;
    assert_eq!((done.status.as_u16(), done.body.len()), (204, 0));
    delete(&app, &path).await.is_problem(404, "not_found");
    app.get(&path).await.is_problem(404, "not_found");
    app.get(&format!("{path}/scenes")).await.is_problem(404, "not_found");
    app.get(&format!("{path}/events")).await.is_problem(404, "not_found");
    app.post(&format!("{path}/retry"), json!({})).await.is_problem(404, "not_found");
    app.post(&format!("{path}/cancel"), json!({})).await.is_problem(404, "not_found");
    app.post(&format!("{path}/duplicate"), json!({})).await.is_problem(404, "not_found");
    assert_eq!(found(&app, "").await, Vec::<i64>::new());

    let film = completed(&app, b"a film").await;
    assert_eq!(delete(&app, &format!("{JOBS}/{film}")).await.status, 204);
    app.get(&format!("/api/v3/videos/{film}/combined")).await.is_problem(404, "not_found");
    assert_eq!(app.get("/api/v3/generated-videos").await.is(200)["data"], json!([]));
    #[expect(clippy::disallowed_methods, reason = "a test counts rows by hand")]
    let kept: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM jobs JOIN job_events e ON e.job_id = jobs.id WHERE e.type = 'deleted'",
    )
    .fetch_one(&app.pool)
    .await
    .expect("counted");
    assert_eq!(kept, 2, "the rows are there");
}
