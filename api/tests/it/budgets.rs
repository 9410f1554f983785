//! Budgets over HTTP: read, set, removed, refused with the field named; the emergency stop.

use http::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::app::{TestApp, start};

const BUDGETS: &str = "/api/v3/admin/budgets";

async fn list(app: &TestApp) -> Value {
    app.get(BUDGETS).await.is(200)
}

#[sqlx::test(migrations = false)]
async fn a_daily_limit_stands_from_the_start_and_can_be_changed(pool: PgPool) {
    let app = start(pool).await;
    let all = list(&app).await;
    assert_eq!(all["data"][0]["scope"], "all");
    assert_eq!(all["data"][0]["period"], "day");
    assert_eq!(all["data"][0]["soft_limit"], json!({"micros": 100_000_000, "dollars": 100.0}));
    assert_eq!(all["data"][0]["hard_limit"], json!({"micros": 150_000_000, "dollars": 150.0}));
    assert_eq!((&all["meta"]["total"], &all["meta"]["stop"]), (&json!(1), &Value::Null));
    let body = json!({"scope": "all", "period": "day", "zone": "Europe/Berlin", "soft_limit_micros": 1_000_000, "hard_limit_micros": 5_000_000});
    let set = app.json(Method::PUT, BUDGETS, &body).await.is(200);
    assert_eq!((&set["zone"], &set["left"]["micros"]), (&json!("Europe/Berlin"), &json!(5_000_000)));
    assert_eq!(set["soft_limit"]["micros"], 1_000_000);
    assert_eq!(list(&app).await["meta"]["total"], 1);
    // What is left out stays, null takes a limit away.
    let change = async |body: Value| app.json(Method::PUT, BUDGETS, &body).await.is(200);
    let raised = change(json!({"scope": "all", "period": "day", "hard_limit_micros": 6_000_000})).await;
    assert_eq!(
        (&raised["zone"], &raised["soft_limit"]["micros"]),
        (&json!("Europe/Berlin"), &json!(1_000_000))
    );
    let cleared = change(json!({"scope": "all", "period": "day", "soft_limit_micros": null})).await;
    assert_eq!((&cleared["soft_limit"], &cleared["hard_limit"]["micros"]), (&Value::Null, &json!(6_000_000)));
    let moved = change(json!({"scope": "all", "period": "day", "zone": "UTC"})).await;
    assert_eq!((&moved["zone"], &moved["hard_limit"]["micros"]), (&json!("UTC"), &json!(6_000_000)));
    let nothing = json!({"scope": "all", "period": "day", "hard_limit_micros": null});
    assert!(
        app.json(Method::PUT, BUDGETS, &nothing).await.is(422)["details"]["hard_limit_micros"].is_array()
    );
}

#[sqlx::test(migrations = false)]
async fn a_client_may_have_a_budget_of_its_own_until_it_is_removed(pool: PgPool) {
    let app = start(pool).await;
    let client = "0190f3a1-7c1e-7000-8000-0123456789ab";
    let body = json!({"scope": "client", "scope_id": client, "period": "month", "soft_limit_micros": 1, "hard_limit_micros": 2});
    app.json(Method::PUT, BUDGETS, &body).await.is(200);
    assert_eq!(list(&app).await["data"][1]["scope_id"], client);
    for (query, shown, limit, offset) in [
        ("?limit=1", vec!["all"], 1, 0),
        ("?limit=1&offset=1", vec!["client"], 1, 1),
        ("?offset=2", vec![], 100, 2),
    ] {
        let page = app.get(&format!("{BUDGETS}{query}")).await.is(200);
        let scopes: Vec<&str> =
            page["data"].as_array().expect("a list").iter().filter_map(|row| row["scope"].as_str()).collect();
        assert_eq!(scopes, shown, "{query}");
        assert_eq!(
            page["meta"],
            json!({"total": 2, "limit": limit, "offset": offset, "stop": null}),
            "{query}"
        );
    }
    let which = format!("{BUDGETS}?scope=client&scope_id={client}&period=month");
    assert_eq!(app.json(Method::DELETE, &which, &json!({})).await.status, 204);
    app.json(Method::DELETE, &which, &json!({})).await.is_problem(404, "not_found");
    assert_eq!(list(&app).await["meta"]["total"], 1);
}

#[sqlx::test(migrations = false)]
async fn what_makes_no_budget_is_refused_by_field(pool: PgPool) {
    let app = start(pool).await;
    for (body, field) in [
        (json!({"scope": "client", "scope_id": "x", "period": "day", "hard_limit_micros": 1}), "scope_id"),
        (json!({"scope": "all", "scope_id": "x", "period": "day", "hard_limit_micros": 1}), "scope_id"),
        (json!({"scope": "all", "period": "day", "hard_limit_micros": -1}), "hard_limit_micros"),
        (json!({"scope": "all", "period": "month"}), "hard_limit_micros"),
        (
            json!({"scope": "all", "period": "day", "soft_limit_micros": 2, "hard_limit_micros": 1}),
            "soft_limit_micros",
        ),
        (json!({"scope": "all", "period": "day", "zone": "Mars/Olympus", "hard_limit_micros": 1}), "zone"),
    ] {
        let refused = app.json(Method::PUT, BUDGETS, &body).await.is(422);
        assert!(
            refused["details"][field].is_array() || refused["details"][field].is_string(),
            "{field}: {refused}"
        );
    }
    assert_eq!(list(&app).await["data"][0]["hard_limit"]["micros"], 150_000_000);
}

#[sqlx::test(migrations = false)]
async fn the_stop_is_shown_with_its_reason_and_lifted_once(pool: PgPool) {
    let app = start(pool).await;
    let stop = format!("{BUDGETS}/stop");
    app.json(Method::DELETE, &stop, &json!({})).await.is_problem(404, "not_found");
    app.json(Method::POST, &stop, &json!({"why": " "})).await.is(422);
    let in_a_hurry = app.json(Method::POST, &stop, &json!({})).await.is(200);
    assert_eq!(in_a_hurry["why"], "stopped by hand, no reason given");
    app.json(Method::POST, &stop, &json!({"why": "a test"})).await.is(200);
    assert_eq!(list(&app).await["meta"]["stop"]["why"], "a test");
    assert_eq!(app.json(Method::DELETE, &stop, &json!({})).await.status, 204);
    assert_eq!(list(&app).await["meta"]["stop"], Value::Null);
}
