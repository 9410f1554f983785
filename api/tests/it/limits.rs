//! Limits and breakers over HTTP: read, set, reset, refused with the field named.

use http::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::app::start;

const LIMITS: &str = "/api/v3/admin/limits";
const WEIGHTS: &str = "/api/v3/admin/limits/weights";
const BREAKERS: &str = "/api/v3/admin/breakers";

#[sqlx::test(migrations = false)]
async fn limits_stand_from_the_start_and_can_be_set_and_reset(pool: PgPool) {
    let app = start(pool).await;
    let all = app.get(LIMITS).await.is(200);
    assert_eq!(all["meta"]["total"], 2);
    assert_eq!((&all["data"][0]["class"], &all["data"][0]["per_minute"]), (&json!("create"), &json!(600)));
    assert_eq!((&all["data"][1]["class"], &all["data"][1]["per_minute"]), (&json!("other"), &json!(3000)));
    let body =
        json!({"provider": "replicate", "class": "create", "model": "meta/musicgen", "max_in_flight": 3});
    let set = app.json(Method::PUT, LIMITS, &body).await.is(200);
    assert_eq!((&set["max_in_flight_now"], &set["set_by_operator"]), (&json!(3), &json!(true)));
    assert_eq!((&set["per_minute"], &set["in_flight"]), (&Value::Null, &json!(0)));
    let which = format!("{LIMITS}?provider=replicate&class=create&model=meta/musicgen");
    assert_eq!(app.json(Method::DELETE, &which, &json!({})).await.status, 204);
    let which = format!("{LIMITS}?provider=replicate&class=create&model=no/such");
    app.json(Method::DELETE, &which, &json!({})).await.is_problem(404, "not_found");
}

#[sqlx::test(migrations = false)]
async fn what_makes_no_limit_is_refused_by_field(pool: PgPool) {
    let app = start(pool).await;
    for (body, field) in [
        (json!({"provider": "nobody", "class": "create", "per_minute": 1}), "provider"),
        (json!({"provider": "replicate", "class": "create", "model": "x", "per_minute": 1}), "model"),
        (json!({"provider": "replicate", "class": "create"}), "per_minute"),
        (json!({"provider": "replicate", "class": "create", "per_minute": 0}), "per_minute"),
        (json!({"provider": "replicate", "class": "create", "max_in_flight": -1}), "max_in_flight"),
        (json!({"provider": "replicate", "class": "other", "max_in_flight": 1}), "class"),
    ] {
        let refused = app.json(Method::PUT, LIMITS, &body).await.is(422);
        assert!(refused["details"][field].is_array(), "{field}: {refused}");
    }
}

#[sqlx::test(migrations = false)]
async fn a_client_is_given_a_weight_and_shown_with_it(pool: PgPool) {
    let app = start(pool).await;
    let client =
        app.post("/api/v3/clients", json!({"name": "Mountain lodge"})).await.is(201)["data"]["id"].clone();
    assert_eq!(
        app.get(WEIGHTS).await.is(200),
        json!({"data": [], "meta": {"total": 0}}),
        "all weigh the same"
    );
    let body = json!({"provider": "replicate", "client_id": client, "weight": 2.5});
    let set = app.json(Method::PUT, WEIGHTS, &body).await.is(200);
    let expected = json!({"provider": "replicate", "client_id": client, "client": "Mountain lodge", "weight": 2.5, "waiting": 0});
    assert_eq!(set, expected);
    assert_eq!(app.get(WEIGHTS).await.is(200)["data"], json!([expected]));
    for (field, wrong) in [
        ("provider", json!("nobody")),
        ("weight", json!(0)),
        ("weight", json!(-1)),
        ("weight", json!(101)),
        ("client_id", json!("0190f3a1-7c1e-7000-8000-0123456789ab")),
    ] {
        let mut body = body.clone();
        body[field] = wrong;
        let refused = app.json(Method::PUT, WEIGHTS, &body).await.is(422);
        assert!(refused["details"][field].is_array(), "{field}: {refused}");
    }
    let usual = json!({"provider": "replicate", "client_id": client, "weight": 1});
    app.json(Method::PUT, WEIGHTS, &usual).await.is(200);
    assert_eq!(app.get(WEIGHTS).await.is(200)["meta"]["total"], 0);
}

#[sqlx::test(migrations = false)]
async fn an_operator_opens_a_breaker_and_closes_it(pool: PgPool) {
    let app = start(pool).await;
    assert_eq!(app.get(BREAKERS).await.is(200)["meta"]["total"], 0);
    app.json(Method::PUT, BREAKERS, &json!({"provider": "replicate"})).await.is(422);
    let body = json!({"provider": "replicate", "model": "meta/musicgen", "why": "prices changed"});
    let open = app.json(Method::PUT, BREAKERS, &body).await.is(200);
    assert_eq!((&open["state"], &open["opened_by"]), (&json!("open"), &json!("operator")));
    assert_eq!(app.get(BREAKERS).await.is(200)["data"][0]["why"], "prices changed");
    let which = format!("{BREAKERS}?provider=replicate&model=meta/musicgen");
    assert_eq!(app.json(Method::DELETE, &which, &json!({})).await.status, 204);
    app.json(Method::DELETE, &which, &json!({})).await.is_problem(404, "not_found");
}
