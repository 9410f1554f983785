//! /admin/log-level: said for a while, shown, taken back, and noted.

use http::Method;
use serde_json::{Value, json};
use spool_db::log_levels;
use sqlx::PgPool;

use crate::app::start;

const LEVEL: &str = "/api/v3/admin/log-level";

#[sqlx::test(migrations = false)]
async fn a_level_holds_for_a_while_and_is_noted(pool: PgPool) {
    let app = start(pool.clone()).await;
    assert_eq!(app.get(LEVEL).await.is(200)["data"], json!([]));
    let body = json!({"program": "worker", "filter": "info,spool_db=debug"});
    let set = app.json(Method::PUT, LEVEL, &body).await.is(200);
    assert_eq!((&set["program"], &set["filter"]), (&json!("worker"), &json!("info,spool_db=debug")));
    let louder = json!({"program": "worker", "filter": "debug", "minutes": 5});
    app.json(Method::PUT, LEVEL, &louder).await.is(200);
    let all = app.get(LEVEL).await.is(200);
    assert_eq!((all["data"].as_array().map(Vec::len), &all["data"][0]["filter"]), (Some(1), &json!("debug")));
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(log_levels::of(&mut conn, "worker").await.unwrap().as_deref(), Some("debug"));
    assert_eq!(log_levels::of(&mut conn, "api").await.unwrap(), None);

    let which = format!("{LEVEL}?program=worker");
    assert_eq!(app.json(Method::DELETE, &which, &json!({})).await.status, 204);
    app.json(Method::DELETE, &which, &json!({})).await.is_problem(404, "not_found");
    let noted = app.get("/api/v3/admin/audit").await.is(200);
    let noted: Vec<&Value> =
        noted["data"].as_array().unwrap().iter().filter(|row| row["route"] == LEVEL).collect();
    assert_eq!(noted.len(), 3, "{noted:?}");
    assert_eq!(noted[1]["about"], json!({"program": "worker", "filter": "debug", "minutes": 5}));
}

#[sqlx::test(migrations = false)]
async fn a_level_that_is_over_holds_no_more(pool: PgPool) {
    let app = start(pool.clone()).await;
    app.json(Method::PUT, LEVEL, &json!({"program": "api", "filter": "debug"})).await.is(200);
    let mut conn = pool.acquire().await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "as if the time had passed")]
    sqlx::query("UPDATE log_levels SET expires_at = now()").execute(&mut *conn).await.unwrap();
    assert_eq!(log_levels::of(&mut conn, "api").await.unwrap(), None);
    assert_eq!(app.get(LEVEL).await.is(200)["data"], json!([]));
}

#[sqlx::test(migrations = false)]
async fn what_makes_no_level_is_refused_by_field(pool: PgPool) {
    let app = start(pool).await;
    for (body, field) in [
        (json!({"program": "postgres", "filter": "info"}), "program"),
        (json!({"program": "api", "filter": " "}), "filter"),
        (json!({"program": "api", "filter": "spool_api=loud"}), "filter"),
        (json!({"program": "api", "filter": "[request{request_id=1}]=debug"}), "filter"),
        (json!({"program": "api", "filter": "x".repeat(501)}), "filter"),
        (json!({"program": "api", "filter": "debug", "minutes": 0}), "minutes"),
        (json!({"program": "api", "filter": "debug", "minutes": 1441}), "minutes"),
    ] {
        let refused = app.json(Method::PUT, LEVEL, &body).await.is(422);
        assert!(refused["details"][field].is_array(), "{field}: {refused}");
    }
    let refused = app.json(Method::DELETE, &format!("{LEVEL}?program=x"), &json!({})).await.is(422);
    assert!(refused["details"]["program"].is_array(), "{refused}");
}
