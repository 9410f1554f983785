//! Idempotency-Key on every POST of the document: sent twice it is carried out once, and for another body it is refused.

use http::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{TestApp, id_of, start_with};
use crate::cancel::submitted;
use crate::downloads::web;
use crate::operations::{self, Operation};
use crate::owners::{Estate, estate};
use crate::retry::{end_tasks, fail};
use crate::storyboard::Board;

/// What the same request gets the second time.
#[derive(Debug, PartialEq)]
enum Again {
    /// The answer of the first one.
    Same,
    /// Refused, because the first answer held a secret, which is not kept.
    Secret,
    /// Carried out anew, because it changes nothing.
    Anew,
}

fn again(operation: &Operation) -> Again {
    match operation.id.as_str() {
        "create_key" | "create_webhook_endpoint" | "rotate_webhook_secret" => Again::Secret,
        "dry_run_job" => Again::Anew,
        _ => Again::Same,
    }
}

/// Makes what the request is about, so that it succeeds; its address and body.
async fn prepare(
    app: &TestApp,
    estate: &mut Estate,
    operation: &Operation,
    picture: &str,
) -> (String, Value) {
    // A job of its own each time: most can be done to it once.
    let order = json!({"campaign_id": estate.campaign, "num_pairs": 1, "clip_duration": 4, "music": false});
    let job = app.post("/api/v3/jobs/from-image-pairs", order).await.is(201);
    estate.job = job["job_id"].as_i64().expect("an id");
    estate.scene = id_of(&job["storyboard"]["scenes"][0]["id"]);
    let mut path = estate.path(operation);
    let body = match operation.id.as_str() {
        "create_asset" | "create_asset_from_url" | "create_unified_asset" => {
            json!({"campaign_id": estate.campaign, "source_url": picture})
        }
        "create_assets_from_urls" => {
            json!({"campaign_id": estate.campaign, "assets": [picture, picture, "ftp://photos.example/none.jpg", picture]})
        }
        "generate_audio" => json!({"job_id": estate.job}),
        "create_key" => json!({"name": "another", "scopes": ["read"]}),
        "retry_job" | "retry_jobs" => {
            app.post(&format!("/api/v3/jobs/{}/approve", estate.job), json!({})).await.is(200);
            end_tasks(app, estate.job).await;
            fail(app, estate.job).await;
            if operation.id == "retry_job" { json!({}) } else { json!({"dry_run": false}) }
        }
        "regenerate_scene" => {
            let board = Board::new(app).await;
            board.rendered(app).await;
            path = format!("{}/scenes/{}/regenerate", board.path, board.ids(app).await[0]);
            json!({"prompt": "The same room at dusk"})
        }
        "resolve_prediction" => {
            app.post(&format!("/api/v3/jobs/{}/approve", estate.job), json!({})).await.is(200);
            let prediction = submitted(app, estate.job).await;
            doubted(&app.pool, prediction).await;
            path = format!("/api/v3/admin/predictions/{prediction}/resolve");
            json!({"as": "void"})
        }
        _ => estate.body(operation),
    };
    (path, body)
}

#[expect(clippy::disallowed_methods, reason = "a test brings a row into doubt by hand")]
async fn doubted(pool: &PgPool, prediction: Uuid) {
    sqlx::query("UPDATE predictions SET state = 'in_doubt' WHERE id = $1")
        .bind(prediction)
        .execute(pool)
        .await
        .expect("in doubt");
}

#[sqlx::test(migrations = false)]
async fn every_post_of_the_document_is_carried_out_once(pool: PgPool) {
    let port = web().await;
    let app = start_with(pool, &format!("127.0.0.1/32:{port}")).await;
    let picture = format!("http://127.0.0.1:{port}/lodge/living-room.jpg");
    let mut estate = estate(&app).await;
    // The provider's webhook has no key of ours: it is bound by the id that its signature covers.
    let posts = operations::all().into_iter().filter(|op| op.method == Method::POST && op.needs.is_some());
    for operation in posts {
        let (path, body) = prepare(&app, &mut estate, &operation, &picture).await;
        let key = &operation.id;
        let first = app.post_keyed(&path, key, &body).await;
        let what = format!("{key}: {}", String::from_utf8_lossy(&first.body));
        assert!(first.status.is_success(), "{what}");
        assert_eq!(first.header("idempotency-replayed"), "", "{what}");
        if operation.id == "create_assets_from_urls" {
            // Side by side under one key, none meets another as somebody else; only what is no address is refused.
            let answer: Value = serde_json::from_slice(&first.body).expect("JSON");
            let meta = (&answer["meta"]["created"], &answer["meta"]["failed"]);
            assert_eq!(meta, (&json!(3), &json!(1)), "{what}");
        }
        let second = app.post_keyed(&path, key, &body).await;
        let wanted = again(&operation);
        match wanted {
            Again::Same => {
                assert_eq!((second.status, &second.body), (first.status, &first.body), "{what}");
                assert_eq!(second.header("idempotency-replayed"), "true", "{what}");
            }
            Again::Secret => {
                second.is_problem(409, "idempotency_key_in_use");
            }
            Again::Anew => {
                assert_eq!(second.status, first.status, "{what}");
                assert_eq!(second.header("idempotency-replayed"), "", "{what}");
            }
        }
        if wanted != Again::Anew {
            let mut other = body;
            other["another"] = json!(true);
            let refused = app.post_keyed(&path, key, &other).await;
            assert_eq!(refused.status, 422, "{what}");
            refused.is_problem(422, "idempotency_key_reused");
        }
    }
}

/// A clip made anew under `/actions`: the key never stands without its answer, which a process that dies there would leave behind.
#[sqlx::test(migrations = false)]
async fn an_action_commits_with_its_answer(pool: PgPool) {
    let app = crate::app::start(pool).await;
    let board = Board::new(&app).await;
    board.rendered(&app).await;
    let no_mark = "CREATE FUNCTION no_mark() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'a key without its answer'; END $$;
         CREATE TRIGGER no_mark BEFORE INSERT OR UPDATE ON idempotency_keys FOR EACH ROW WHEN (NEW.status IS NULL)
             EXECUTE FUNCTION no_mark()";
    sqlx::raw_sql(no_mark).execute(&app.pool).await.expect("a trigger");
    let scene = board.ids(&app).await[0].clone();
    let body = json!({"action": "regenerate_scene", "payload": {"scene_id": scene, "prompt": "At dusk"}});
    let path = format!("{}/actions", board.path);
    let first = app.post_keyed(&path, "once", &body).await.is(200);
    assert!(first["costs"]["lines"].is_array() && first["regenerated"].is_object(), "{first}");
    assert_eq!(app.post_keyed(&path, "once", &body).await.is(200), first);
}
