//! /admin/audit: one row per request that changed something, in its transaction, and nothing secret in it.

use http::Method;
use serde_json::{Value, json};
use spool_db::keys::Scope;
use sqlx::PgPool;

use crate::app::{TestApp, start};

const AUDIT: &str = "/api/v3/admin/audit";

async fn rows(app: &TestApp) -> Vec<Value> {
    app.get(AUDIT).await.is(200)["data"].as_array().expect("rows").clone()
}

#[sqlx::test(migrations = false)]
async fn what_changes_something_is_noted_and_the_rest_is_not(pool: PgPool) {
    let mut app = start(pool).await;
    let operator = app.key.clone();
    let client = app.client("A").await;
    app.key = app.new_key(&[Scope::Write], Some(client)).await;
    let campaign = app.post("/api/v3/campaigns?token=hidden", json!({"name": "sealed words"})).await;
    let request_id = campaign.header("x-request-id").to_owned();
    let campaign = campaign.is(201)["data"]["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v3/campaigns/{campaign}");
    app.json(Method::PATCH, &path, &json!({"goal": "sealed words", "metadata": {"k": "sealed words"}}))
        .await
        .is(200);
    // Refused, only looked at, or a dry run: nothing changed.
    app.json(Method::PATCH, &path, &json!({"name": ""})).await.is_problem(422, "validation_failed");
    app.json(Method::DELETE, "/api/v3/campaigns/00000000-0000-0000-0000-000000000000", &json!({}))
        .await
        .is_problem(404, "not_found");
    app.get(&path).await.is(200);
    app.post("/api/v3/jobs/retry", json!({})).await.is(200);
    let writer = std::mem::replace(&mut app.key, operator);

    let noted = rows(&app).await;
    assert_eq!(noted.len(), 3, "{noted:?}");
    let (patched, made) = (&noted[0], &noted[1]);
    assert_eq!((&patched["method"], &patched["route"]), (&json!("PATCH"), &json!("/api/v3/campaigns/{id}")));
    assert_eq!(
        (&patched["path"], &patched["about"]),
        (&json!(path), &json!({"changed": ["goal", "metadata"]}))
    );
    assert_eq!((&made["route"], &made["path"]), (&json!("/api/v3/campaigns"), &json!("/api/v3/campaigns")));
    assert_eq!(made["about"], json!({"campaign": campaign}));
    assert_eq!((&made["request_id"], &made["client_id"]), (&json!(request_id), &json!(client)));
    assert_eq!(made["key_id"], writer.split('_').nth(1).expect("an id"));
    assert_eq!(noted[2]["about"], json!({"client": client}));
    let text = format!("{noted:?}");
    for secret in ["sealed words", "hidden", writer.rsplit('_').next().expect("a secret")] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    // The log itself is for operators.
    app.key = writer;
    app.get(AUDIT).await.is_problem(403, "forbidden");
}

/// The statement that records the answer notes the change as well.
#[sqlx::test(migrations = false)]
async fn what_comes_again_under_its_key_is_noted_once(pool: PgPool) {
    let app = start(pool).await;
    let made = app.post_keyed("/api/v3/clients", "a", &json!({"name": "A"})).await;
    let client = made.is(201)["data"]["id"].clone();
    app.post_keyed("/api/v3/clients", "a", &json!({"name": "A"})).await.is(201);
    app.post_keyed("/api/v3/clients", "a", &json!({"name": "B"}))
        .await
        .is_problem(422, "idempotency_key_reused");
    let noted = rows(&app).await;
    assert_eq!(noted.len(), 1, "{noted:?}");
    assert_eq!(noted[0]["about"], json!({"client": client}));
    assert_eq!(noted[0]["request_id"], made.header("x-request-id"));
}

#[sqlx::test(migrations = false)]
async fn pages_and_filters(pool: PgPool) {
    let app = start(pool).await;
    for name in ["A", "B", "C"] {
        app.client(name).await;
    }
    let first = app.get(&format!("{AUDIT}?limit=2")).await.is(200);
    assert_eq!(first["data"].as_array().map(Vec::len), Some(2));
    let before = first["meta"]["next_before"].as_i64().expect("another page");
    let second = app.get(&format!("{AUDIT}?limit=2&before={before}")).await.is(200);
    assert_eq!(second["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(second["meta"]["next_before"], Value::Null);
    let own = app.key.split('_').nth(1).expect("an id");
    for (query, count) in [
        (format!("key_id={own}"), 3),
        ("key_id=another".to_owned(), 0),
        ("from=2020-01-01T00:00:00Z".to_owned(), 3),
        ("to=2020-01-01T00:00:00Z".to_owned(), 0),
        (format!("client_id={}", uuid::Uuid::nil()), 0),
    ] {
        let page = app.get(&format!("{AUDIT}?{query}")).await.is(200);
        assert_eq!(page["data"].as_array().map(Vec::len), Some(count), "{query}");
    }
}

/// What is rolled back was not done.
#[sqlx::test(migrations = false)]
async fn a_change_that_fails_leaves_no_row(pool: PgPool) {
    let app = start(pool).await;
    let client = app.client("A").await;
    #[expect(clippy::disallowed_methods, reason = "a fault that no caller can cause")]
    sqlx::query("ALTER TABLE clients ADD CONSTRAINT never CHECK (name <> 'B') NOT VALID")
        .execute(&app.pool)
        .await
        .expect("a trap");
    let path = format!("/api/v3/clients/{client}");
    app.json(Method::PATCH, &path, &json!({"name": "B"})).await.is_problem(500, "internal");
    assert_eq!(rows(&app).await.len(), 1);
    app.json(Method::PATCH, &path, &json!({"name": "C"})).await.is(200);
    assert_eq!(rows(&app).await.len(), 2);
}

/// Otherwise a change could go past the log.
#[test]
fn every_commit_goes_through_the_one_that_notes() {
    fn look(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                look(&path, found);
            } else if std::fs::read_to_string(&path).expect("a file").contains(".commit()") {
                found.push(path.display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    look(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found.sort_unstable();
    // The second commits what the first has kept for it, the third writes the notes of all its orders; the others keep figures, and
    // nothing of a caller's.
    let known = [
        "src/database.rs",
        "src/idempotency.rs",
        "src/group_commit.rs",
        "src/figures/mod.rs",
        "src/invariant_watch.rs",
    ];
    found.retain(|path| !known.iter().any(|known| path.ends_with(known)));
    assert_eq!(found, Vec::<String>::new());
}
