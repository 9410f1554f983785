//! Webhooks to callers: written with the event, once for each endpoint that wants it, kept until somebody took it.

use crate::fixture;
use serde_json::{Value, json};
use spool_db::hooks::deliveries::{self, Filter, Resend};
use spool_db::hooks::endpoints::{self, EndpointEdit, NewEndpoint, Sealed};
use spool_db::hooks::sending::{self, Answered, Next};
use spool_db::hooks::{log, standing};
use spool_db::jobs::{self, Conclusion};
use spool_db::{cancellation, clients, progress, revisions, scenes};
use spool_job::hook_event::HookEvent;
use spool_job::state::SceneState;
use spool_job::tasks::{DeliverTask, PAYLOAD_VERSION, TaskKind, hook_group_key};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use std::time::Duration;
use uuid::Uuid;

/// The queue's own tables, as `spool migrate` makes them.
async fn queue(pool: &PgPool) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../queue/migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    sqlx::raw_sql("CREATE SCHEMA IF NOT EXISTS queue").execute(pool).await.unwrap();
    for file in files {
        let sql = std::fs::read_to_string(&file).unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(pool)
            .await
            .unwrap_or_else(|error| panic!("{error}: {file:?}"));
    }
}

fn secret(byte: u8) -> Sealed {
    Sealed { salt: vec![byte; 32], digest: vec![byte; 32] }
}

async fn endpoint(conn: &mut PgConnection, client_id: Option<Uuid>, events: &[HookEvent]) -> Uuid {
    let new = NewEndpoint {
        client_id,
        url: "https://lodges.example/hook".into(),
        description: None,
        events: events.iter().map(|event| event.as_str().to_owned()).collect(),
        created_by: "test".into(),
    };
    endpoints::create(conn, Uuid::now_v7(), &new, &secret(1)).await.unwrap().id
}

async fn client_of(conn: &mut PgConnection, job: i64) -> Uuid {
    jobs::show(conn, job, None).await.unwrap().unwrap().client_id.unwrap()
}

/// What an endpoint was told, the oldest first.
async fn told(conn: &mut PgConnection, endpoint: Uuid) -> Vec<deliveries::Delivery> {
    let filter = Filter { endpoint: Some(endpoint), ..Filter::default() };
    let mut rows = deliveries::list(conn, &filter, 100).await.unwrap();
    rows.reverse();
    rows
}

async fn words(conn: &mut PgConnection, endpoint: Uuid) -> Vec<String> {
    told(conn, endpoint).await.into_iter().map(|row| row.event).collect()
}

/// Numbers of the tasks that wait for a delivery.
async fn tasks(conn: &mut PgConnection, delivery: Uuid) -> Vec<i64> {
    sqlx::query_scalar!("SELECT id FROM queue.task WHERE unique_key = $1", delivery.to_string())
        .fetch_all(conn)
        .await
        .unwrap()
}

async fn fail(conn: &mut PgConnection, job: i64) {
    let end = Conclusion::Failed { code: "scene_failed".into(), error: "scene 1: no".into() };
    jobs::conclude(conn, job, &end).await.unwrap();
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_job_s_life_is_told_and_nothing_else(pool: PgPool) {
    queue(&pool).await;
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let all = endpoint(&mut conn, None, &[]).await;
    let ends = endpoint(&mut conn, None, &[HookEvent::JobFailed, HookEvent::JobCompleted]).await;
    let job = fixture::job(&mut conn, campaign).await;
    jobs::approve(&mut conn, job, None).await.unwrap();
    jobs::begin(&mut conn, job).await.unwrap();
    for scene in scenes::list(&mut conn, job).await.unwrap() {
        scenes::move_to(&mut conn, scene.id, 1, SceneState::Processing, None, None).await.unwrap();
        progress::refresh(&mut conn, job, "render_started", &json!({"prediction_id": "x"})).await.unwrap();
    }
    fail(&mut conn, job).await;
    revisions::reopen(&mut conn, job, None).await.unwrap();
    cancellation::request(&mut conn, job, None, "somebody").await.unwrap();
    jobs::conclude(&mut conn, job, &Conclusion::Canceled).await.unwrap();
    let wanted = ["created", "approved", "progress", "failed", "reopened", "canceled"];
    let wanted: Vec<String> = wanted.iter().map(|word| format!("job.{word}")).collect();
    assert_eq!(words(&mut conn, all).await, wanted, "the second scene begins no other stage");
    assert_eq!(words(&mut conn, ends).await, ["job.failed"]);
    assert!(wanted.iter().all(|word| word.parse::<HookEvent>().is_ok()));

    let rows = told(&mut conn, all).await;
    let failed = &rows[3].payload;
    assert_eq!((&failed["type"], &failed["data"]["status"]), (&json!("job.failed"), &json!("failed")));
    let data = failed["data"].as_object().unwrap();
    assert_eq!((&data["job_id"], &data["error_code"]), (&json!(job), &json!("scene_failed")));
    assert_eq!((&data["video_name"], &data["campaign_id"]), (&json!("Autumn 1"), &json!(campaign)));
    assert_eq!(rows[2].payload["data"]["current_stage"], "rendering");
    assert!(rows[2].payload["data"].get("prediction_id").is_none(), "what goes on inside is not told");
    let at = failed["timestamp"].as_str().unwrap();
    assert!(at.ends_with('Z') && at.parse::<chrono::DateTime<chrono::Utc>>().is_ok(), "{at}");
    let seqs: Vec<i64> = rows.iter().filter_map(|row| row.payload["data"]["seq"].as_i64()).collect();
    assert!(seqs.is_sorted() && seqs.len() == rows.len(), "{seqs:?}");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn its_task_is_the_one_that_the_worker_knows(pool: PgPool) {
    queue(&pool).await;
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let endpoint = endpoint(&mut conn, None, &[]).await;
    fixture::job(&mut conn, campaign).await;
    let delivery = told(&mut conn, endpoint).await[0].id;
    let task = sqlx::query!(
        r#"SELECT kind, queue, version, payload AS "payload!: Value", group_key, share_key FROM queue.task WHERE unique_key = $1"#,
        delivery.to_string()
    )
    .fetch_one(&mut *conn)
    .await
    .unwrap();
    assert_eq!(
        (task.kind.as_str(), task.queue.as_str()),
        (TaskKind::Deliver.as_str(), TaskKind::Deliver.queue())
    );
    assert_eq!(task.version, PAYLOAD_VERSION);
    assert_eq!(
        serde_json::from_value::<DeliverTask>(task.payload).unwrap(),
        DeliverTask { delivery_id: delivery }
    );
    assert_eq!(task.group_key, Some(hook_group_key(endpoint)));
    assert_eq!(task.share_key, Some(endpoint.to_string()));
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn what_is_rolled_back_was_not_told_and_nobody_hears_of_others(pool: PgPool) {
    queue(&pool).await;
    let mut conn = pool.acquire().await.unwrap();
    let (ours, theirs) = (fixture::campaign(&mut conn).await, fixture::campaign(&mut conn).await);
    let job = fixture::job(&mut conn, ours).await;
    let client = client_of(&mut conn, job).await;
    let own = endpoint(&mut conn, Some(client), &[]).await;
    let deaf = endpoint(&mut conn, None, &[]).await;
    let off = EndpointEdit { enabled: Some(false), ..EndpointEdit::default() };
    let edited = endpoints::update(&mut conn, deaf, None, &off).await.unwrap().unwrap();
    assert_eq!((edited.enabled, edited.disabled_why.as_deref()), (false, Some("asked")));

    let mut tx = pool.begin().await.unwrap();
    jobs::approve(&mut tx, job, None).await.unwrap();
    assert_eq!(told(&mut tx, own).await.len(), 1);
    tx.rollback().await.unwrap();
    assert_eq!(told(&mut conn, own).await.len(), 0);
    let waiting = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM queue.task"#);
    assert_eq!(waiting.fetch_one(&mut *conn).await.unwrap(), 0);

    fixture::job(&mut conn, theirs).await;
    jobs::approve(&mut conn, job, None).await.unwrap();
    assert_eq!(words(&mut conn, own).await, ["job.approved"]);
    assert_eq!(told(&mut conn, deaf).await.len(), 0);
    let stranger = Some(Uuid::now_v7());
    let seen = Filter { owner: stranger, ..Filter::default() };
    assert!(deliveries::list(&mut conn, &seen, 9).await.unwrap().is_empty());
    let delivery = told(&mut conn, own).await[0].id;
    assert!(deliveries::find(&mut conn, delivery, stranger).await.unwrap().is_none());
    assert!(deliveries::find(&mut conn, delivery, Some(client)).await.unwrap().is_some());
    assert_eq!(deliveries::resend(&mut conn, delivery, stranger).await.unwrap(), Resend::Unknown);
    assert!(endpoints::find(&mut conn, own, stranger).await.unwrap().is_none());
    assert!(!endpoints::delete(&mut conn, own, stranger).await.unwrap());
}

/// No job waits for somebody who deletes an endpoint, and none fails because of it.
#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn an_endpoint_that_is_being_deleted_holds_no_job_up(pool: PgPool) {
    queue(&pool).await;
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let job = fixture::job(&mut conn, campaign).await;
    let endpoint = endpoint(&mut conn, None, &[]).await;
    let mut deleting = pool.begin().await.unwrap();
    assert!(endpoints::delete(&mut deleting, endpoint, None).await.unwrap());
    jobs::approve(&mut conn, job, None).await.unwrap();
    deleting.commit().await.unwrap();
    assert_eq!(told(&mut conn, endpoint).await.len(), 0, "nobody sees what is left of it");
    assert_eq!(standing::standing(&mut conn).await.unwrap().pending, 1);
    assert_eq!(log::drop_old(&mut conn, Duration::from_secs(3600), 10).await.unwrap(), 1);
    assert_eq!(standing::standing(&mut conn).await.unwrap().pending, 0);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn tries_are_written_down_before_and_after(pool: PgPool) {
    queue(&pool).await;
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let endpoint = endpoint(&mut conn, None, &[]).await;
    fixture::job(&mut conn, campaign).await;
    let id = told(&mut conn, endpoint).await[0].id;
    let due = sending::due(&mut conn, id).await.unwrap().unwrap();
    assert!(due.pending && due.enabled && due.tries == 0 && due.former.is_none());
    assert_eq!((due.event.as_str(), due.secret), ("job.created", secret(1)));

    // The first one dies with its process.
    assert_eq!(sending::begin(&mut conn, id, 7).await.unwrap(), 1);
    assert_eq!(sending::begin(&mut conn, id, 8).await.unwrap(), 2);
    let answered = Answered {
        status: Some(500),
        took: Duration::from_millis(12),
        error: Some("the endpoint answered 500".into()),
        answer: Some("boom".into()),
    };
    let again = Next::Again(Duration::from_secs(30));
    sending::answered(&mut conn, id, 2, &answered, again).await.unwrap();
    let row = deliveries::find(&mut conn, id, None).await.unwrap().unwrap();
    assert_eq!((row.state.as_str(), row.attempts, row.status), ("pending", 2, Some(500)));
    assert!(row.next_at > Some(row.created_at) && row.ended_at.is_none());
    assert_eq!(sending::due(&mut conn, id).await.unwrap().unwrap().tries, 1, "a death is no failed try");

    assert_eq!(sending::begin(&mut conn, id, 9).await.unwrap(), 3);
    let taken = Answered { status: Some(204), ..Answered::default() };
    sending::answered(&mut conn, id, 3, &taken, Next::Delivered).await.unwrap();
    let row = deliveries::find(&mut conn, id, None).await.unwrap().unwrap();
    assert_eq!((row.state.as_str(), row.error, row.next_at), ("delivered", None, None));
    assert!(row.ended_at.is_some());
    let log = deliveries::attempts(&mut conn, id, 10).await.unwrap();
    let short: Vec<_> = log.iter().map(|one| (one.number, one.status, one.answer.as_deref())).collect();
    assert_eq!(short, [(3, Some(204), None), (2, Some(500), Some("boom")), (1, None, None)]);
    assert!(log[2].error.as_deref().unwrap().contains("died"));
    assert_eq!(log[1].latency_ms, Some(12));

    // Once more, with all tries before it.
    let resent = deliveries::resend(&mut conn, id, None).await.unwrap();
    assert_eq!(resent, Resend::Due { endpoint_id: endpoint });
    let due = sending::due(&mut conn, id).await.unwrap().unwrap();
    assert!(due.pending && due.tries == 0);
    sending::give_up(&mut conn, id, "no").await.unwrap();
    let row = deliveries::find(&mut conn, id, None).await.unwrap().unwrap();
    assert_eq!((row.state.as_str(), row.attempts), ("failed", 3));
    let since = row.created_at;
    assert_eq!(deliveries::resend_failed(&mut conn, endpoint, since, 10).await.unwrap(), [id]);
    assert_eq!(deliveries::failed(&mut conn, endpoint, since).await.unwrap(), 0);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn an_endpoint_is_disabled_when_it_is_gone_or_fails_for_long(pool: PgPool) {
    queue(&pool).await;
    let mut conn = pool.acquire().await.unwrap();
    let (gone, fails) = (endpoint(&mut conn, None, &[]).await, endpoint(&mut conn, None, &[]).await);
    assert!(sending::gone(&mut conn, gone).await.unwrap());
    assert!(!sending::gone(&mut conn, gone).await.unwrap(), "once");
    assert!(sending::fails(&mut conn, fails).await.unwrap());
    assert!(!sending::fails(&mut conn, fails).await.unwrap(), "that is no news");
    let three_days = Duration::from_secs(3 * 24 * 3600);
    assert!(!sending::fails_for(&mut conn, fails, three_days).await.unwrap());
    let now = standing::standing(&mut conn).await.unwrap();
    assert_eq!((now.enabled, now.failing, now.disabled, now.pending), (1, 1, 1, 0));
    sqlx::query!(
        "UPDATE hook_endpoints SET failing_since = now() - interval '73 hours' WHERE id = $1",
        fails
    )
    .execute(&mut *conn)
    .await
    .unwrap();
    assert!(sending::fails_for(&mut conn, fails, three_days).await.unwrap());
    for (id, why) in [(gone, "gone"), (fails, "failing")] {
        let row = endpoints::find(&mut conn, id, None).await.unwrap().unwrap();
        assert_eq!((row.enabled, row.disabled_why.as_deref()), (false, Some(why)));
    }
    let on = EndpointEdit { enabled: Some(true), ..EndpointEdit::default() };
    let row = endpoints::update(&mut conn, fails, None, &on).await.unwrap().unwrap();
    assert!(row.enabled && row.disabled_at.is_none() && row.failing_since.is_none());
    sending::fails(&mut conn, fails).await.unwrap();
    assert!(sending::works(&mut conn, fails).await.unwrap());
    assert!(!sending::works(&mut conn, fails).await.unwrap(), "that is no news");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn two_secrets_sign_for_a_while(pool: PgPool) {
    queue(&pool).await;
    let mut conn = pool.acquire().await.unwrap();
    let endpoint = endpoint(&mut conn, None, &[]).await;
    let ping = deliveries::send(&mut conn, endpoint, "webhook.ping", &json!({})).await.unwrap();
    let rotated = endpoints::rotate(&mut conn, endpoint, None, &secret(2), 3600).await.unwrap().unwrap();
    assert!(rotated.former_until.is_some());
    let due = sending::due(&mut conn, ping).await.unwrap().unwrap();
    assert_eq!((due.secret, due.former), (secret(2), Some(secret(1))));
    sqlx::query!("UPDATE hook_endpoints SET former_until = now()").execute(&mut *conn).await.unwrap();
    assert_eq!(sending::due(&mut conn, ping).await.unwrap().unwrap().former, None);
    let rotated = endpoints::rotate(&mut conn, endpoint, None, &secret(3), 0).await.unwrap().unwrap();
    assert!(rotated.former_until.is_none(), "at once");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn the_log_is_kept_for_a_time_and_what_lost_its_task_is_found(pool: PgPool) {
    queue(&pool).await;
    let mut conn = pool.acquire().await.unwrap();
    let client = Uuid::now_v7();
    let new = clients::NewClient {
        name: "A".into(),
        description: None,
        homepage: None,
        metadata: json!({}),
        brand_guidelines: None,
    };
    clients::create(&mut conn, client, &new).await.unwrap();
    let endpoint = endpoint(&mut conn, Some(client), &[]).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(deliveries::send(&mut conn, endpoint, "webhook.ping", &json!({})).await.unwrap());
    }
    assert_eq!(tasks(&mut conn, ids[0]).await.len(), 1);
    sending::give_up(&mut conn, ids[0], "no").await.unwrap();
    sqlx::query!("UPDATE hook_deliveries SET ended_at = now() - interval '31 days' WHERE id = $1", ids[0])
        .execute(&mut *conn)
        .await
        .unwrap();
    let month = Duration::from_secs(30 * 24 * 3600);
    assert_eq!(log::drop_old(&mut conn, month, 10).await.unwrap(), 1);
    assert_eq!(log::drop_old(&mut conn, month, 10).await.unwrap(), 0);
    assert_eq!(log::overdue(&mut conn, Duration::from_secs(60), 0, 10).await.unwrap(), []);
    sqlx::query!("UPDATE hook_deliveries SET next_at = now() - interval '1 hour' WHERE id = $1", ids[2])
        .execute(&mut *conn)
        .await
        .unwrap();
    let overdue = log::overdue(&mut conn, Duration::from_secs(60), 0, 10).await.unwrap();
    assert_eq!(overdue.iter().map(|one| (one.id, one.endpoint_id)).collect::<Vec<_>>(), [(ids[2], endpoint)]);
    assert_eq!(log::overdue(&mut conn, Duration::from_secs(60), overdue[0].place, 10).await.unwrap(), []);
    // With its client goes the endpoint, and what is left of it.
    clients::delete(&mut conn, client).await.unwrap();
    assert!(endpoints::find(&mut conn, endpoint, None).await.unwrap().is_none());
    assert_eq!(log::drop_old(&mut conn, month, 10).await.unwrap(), 2);
}
