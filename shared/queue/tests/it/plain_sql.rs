//! Enqueuing from plain SQL, as programs in other languages do it.

use std::time::Duration;

use serde_json::json;
use spool_queue::{Done, NewTask, PAYLOAD_LIMIT, TaskId, TaskState, Unique};
use sqlx::{PgPool, Row};

use crate::harness::{Running, Step, act, quick, until_final, view};

/// The words of another program: unchecked, one row of `id` and `existed`.
async fn call(pool: &PgPool, arguments: &str) -> Result<(TaskId, bool), sqlx::Error> {
    let text = format!("select id, existed from queue.enqueue({arguments})");
    let row = sqlx::raw_sql(sqlx::AssertSqlSafe(text)).fetch_one(pool).await?;
    Ok((TaskId(row.get("id")), row.get("existed")))
}

/// What Postgres says: the code and the message.
async fn refusal(pool: &PgPool, arguments: &str) -> (String, String) {
    let error = call(pool, arguments).await.unwrap_err();
    let error = error.as_database_error().unwrap();
    (error.code().unwrap().into_owned(), error.message().to_owned())
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn three_words_are_enough_and_the_task_runs(pool: PgPool) {
    let (id, existed) = call(&pool, r#"'step', 'main', '{"picture": 7}'"#).await.unwrap();
    assert!(!existed);
    let seen = view(&pool, id).await;
    assert_eq!((seen.state, seen.payload), (TaskState::Ready, json!({"picture": 7})));
    let echo = act(|payload, run| async move { Done::output(&(payload, run.version())) });
    let worker = Running::start(quick("w", &pool).handler(Step(echo))).await;
    let ended = until_final(&pool, id).await;
    assert_eq!((ended.state, ended.output), (TaskState::Succeeded, Some(json!([{"picture": 7}, 1]))));
    worker.stop().await;
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn every_setting_has_a_name(pool: PgPool) {
    let all = "kind => 'step', queue => 'main', payload => json_build_object('a', 1), version => 3, priority => -2, delay => '1 hour',
               group_key => 'g', share_key => 's', max_attempts => 7, timeout => '90 seconds', deadline => '2999-01-01T00:00:00Z'";
    let (id, _) = call(&pool, all).await.unwrap();
    let row = sqlx::query!("select version, priority, group_key, share_key, max_attempts, timeout_ms, expires_at, run_at > now() + interval '59 minutes' as later, state from queue.task where id = $1", id.0)
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!((row.version, row.priority, row.state, row.later), (3, -2, 1, Some(true)));
    assert_eq!((row.group_key.as_deref(), row.share_key.as_deref()), (Some("g"), Some("s")));
    assert_eq!((row.max_attempts, row.timeout_ms), (Some(7), Some(90_000)));
    assert_eq!(row.expires_at, Some("2999-01-01T00:00:00Z".parse().unwrap()));
    let (past, _) = call(&pool, "'step', 'main', 'null', run_at => '2020-01-01T00:00:00Z'").await.unwrap();
    assert_eq!(view(&pool, past).await.state, TaskState::Ready);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn keys_are_the_same_in_both_languages(pool: PgPool) {
    let rust = |unique: Unique| NewTask::new("step", "main", 1, &json!({"b": 1, "a": 2})).unique(unique);
    let hour = Duration::from_secs(3600);
    let pairs = [
        (Unique::by_key("k"), "unique_key => 'k'"),
        (Unique::by_key("w").while_waiting(), "unique_key => 'w', unique_for => 'waiting'"),
        (
            Unique::by_key("p").within(hour),
            "unique_key => 'p', unique_for => 'within', unique_period => '1 hour'",
        ),
        (
            Unique::by_key("o").once_per(24 * 365 * hour),
            "unique_key => 'o', unique_for => 'once_per', unique_period => '365 days'",
        ),
        (Unique::by_payload(), r#"unique_key => queue.payload_key('{"a":2,"b":1}')"#),
    ];
    for (unique, words) in pairs {
        let made = rust(unique).enqueue(&mut pool.acquire().await.unwrap()).await.unwrap();
        let same = call(&pool, &format!("'step', 'main', '3', {words}")).await.unwrap();
        assert_eq!(same, (made.ids[0], true), "{words}");
        let replaced =
            call(&pool, &format!("'step', 'main', '4', {words}, on_conflict => 'replace'")).await.unwrap();
        assert_eq!(replaced, same, "{words}");
        assert_eq!(view(&pool, same.0).await.payload, json!(4), "{words}");
        let (code, message) =
            refusal(&pool, &format!("'step', 'main', '5', {words}, on_conflict => 'report'")).await;
        assert_eq!(code, "23505");
        assert!(message.contains(&format!("is held by task {}", same.0)), "{message}");
    }
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn a_deadline_is_that_of_the_task_that_is_to_be_done(pool: PgPool) {
    let deadline =
        || async { sqlx::query_scalar!("select expires_at from queue.task").fetch_one(&pool).await.unwrap() };
    let at = |text: &str| Some(text.parse().unwrap());
    let words = "'step', 'main', '1', delay => '1 hour', unique_key => 'k'";
    call(&pool, &format!("{words}, deadline => '2998-01-01Z'")).await.unwrap();
    assert_eq!(deadline().await, at("2998-01-01T00:00:00Z"));
    call(&pool, &format!("{words}, deadline => '2999-01-01Z'")).await.unwrap();
    assert_eq!(deadline().await, at("2998-01-01T00:00:00Z"));
    call(&pool, &format!("{words}, deadline => '2999-01-01Z', on_conflict => 'replace'")).await.unwrap();
    assert_eq!(deadline().await, at("2999-01-01T00:00:00Z"));
    call(&pool, &format!("{words}, on_conflict => 'replace'")).await.unwrap();
    assert_eq!(deadline().await, None);
    // In the order of the words that there were before.
    let old = "'mail', 'main', '1', 1, 0, null, null, null, 'queued', null, 'skip', 'g', 's', 3, '1 s'";
    assert!(!call(&pool, old).await.unwrap().1);
    call(&pool, "'late', 'main', '1', deadline => '2001-01-01Z'").await.unwrap();
    let ended = sqlx::query_scalar!(r#"select ended as "ended!" from queue.expire(10)"#);
    assert_eq!(ended.fetch_one(&pool).await.unwrap().len(), 1);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn what_rust_refuses_is_refused_with_the_same_words(pool: PgPool) {
    let large = format!("'step', 'main', to_json(repeat('x', {PAYLOAD_LIMIT}))");
    let said = "enqueue: the payload of a step task has 65538 bytes, allowed are 65536; store it elsewhere and pass its key";
    assert_eq!(refusal(&pool, &large).await, ("22023".to_owned(), said.to_owned()));
    assert!(
        call(&pool, &format!("'step', 'main', to_json(repeat('x', {}))", PAYLOAD_LIMIT - 2)).await.is_ok()
    );
    for (words, code) in [
        ("'step', 'main', '1', version => 0", "22023"),
        ("'step', 'main', '1', version => 40000", "22023"),
        ("'step', 'main', '1', priority => 100000", "22023"),
        ("'step', 'main', '1', max_attempts => 0", "22023"),
        ("'step', 'main', '1', timeout => '0 s'", "22023"),
        ("'step', 'main', '1', delay => '1 s', run_at => now()", "22023"),
        ("'step', 'main', '1', unique_key => 'k', unique_for => 'ever'", "22023"),
        ("'step', 'main', '1', unique_key => 'k', unique_for => 'within'", "22023"),
        ("'step', 'main', '1', unique_key => 'k', unique_period => '1 hour'", "22023"),
        ("'step', 'main', '1', on_conflict => 'explode'", "22023"),
        ("'step', 'main', '1', version => null", "22023"),
        ("'step', 'main', '1', run_at => 'infinity'", "22023"),
        ("'step', 'main', '1', run_at => '-infinity'", "22023"),
        ("'step', 'main', '1', delay => '280000 years'", "22023"),
        ("'step', 'main', '1', deadline => 'infinity'", "22023"),
        ("null, 'main', '1'", "22004"),
        ("'step', null, '1'", "22004"),
        ("'step', 'main', null", "22004"),
        ("'step', 'main', '{'", "22P02"),
    ] {
        let (said, message) = refusal(&pool, words).await;
        assert_eq!(said, code, "{words}: {message}");
    }
    let rows =
        sqlx::query_scalar!(r#"select count(*) as "n!" from queue.task"#).fetch_one(&pool).await.unwrap();
    assert_eq!(rows, 1);
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn it_does_not_ring_by_itself(pool: PgPool) {
    let mut listener = sqlx::postgres::PgListener::connect_with(&pool).await.unwrap();
    listener.listen("spool_queue").await.unwrap();
    call(&pool, "'step', 'main', '1'").await.unwrap();
    sqlx::query!("select queue.ring('main')").execute(&pool).await.unwrap();
    // Notifications come in the order of their commits: the first is that of the ring.
    assert_eq!(listener.recv().await.unwrap().payload(), "w main");
    sqlx::query!("select pg_notify('spool_queue', 'end')").execute(&pool).await.unwrap();
    assert_eq!(listener.recv().await.unwrap().payload(), "end");
}
