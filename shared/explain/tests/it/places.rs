//! Places in the lines of what waits longest: turns with a provider, and money.

use chrono::{DateTime, TimeDelta, Utc};
use spool_db::budgets::{self, Budget, Period, Scope};
use spool_explain::{Gate, Line, Order};
use spool_job::money::Micros;
use sqlx::PgPool;

use crate::stage::Stage;

const MODEL: &str = "google/veo-3.1-fast";

/// The job's render waits for a turn since so many seconds.
async fn waits(stage: &Stage, seconds: i64) {
    let task = stage.id("render").await.0;
    stage
        .set("render", "state = 2, why = 'waits for replicate', run_at = now() + interval '2 minutes'")
        .await;
    line(stage, task, MODEL, &stage.client.to_string(), seconds).await;
}

async fn line(stage: &Stage, task: i64, model: &str, share: &str, seconds: i64) {
    let job = if (900..1000).contains(&task) { 0 } else { stage.job };
    stage
        .sql(&format!(
            "insert into limit_waits (task_id, job_id, provider, model, share, cost_micros, since)
             values ({task}, {job}, 'replicate', '{model}', '{share}', 1, now() - interval '{seconds} seconds')"
        ))
        .await;
}

async fn place(stage: &Stage) -> (Line, Option<u64>, Order) {
    let at = stage.task("render").await.position.unwrap();
    (at.line, at.ahead, at.order)
}

#[sqlx::test(migrations = false)]
async fn clients_take_turns_before_a_provider(pool: PgPool) {
    let stage = Stage::new(pool).await;
    waits(&stage, 0).await;
    assert_eq!(place(&stage).await, (Line::Provider, Some(0), Order::Fair));
    assert!(stage.only("render").await.1.contains("it has the next turn with replicate"));
    for task in 900..905 {
        line(&stage, task, MODEL, "flood", 60).await;
    }
    assert_eq!(
        place(&stage).await.1,
        Some(1),
        "the first of the other client has waited longer, the others wait"
    );
    let (gate, sentence) = stage.only("render").await;
    assert!(matches!(gate, Gate::Provider { obstacle: "line", until: None, .. }), "{gate:?}");
    assert!(sentence.contains("one task goes before it with replicate; clients take turns"), "{sentence}");
    // Three to one.
    stage
        .sql("insert into limit_shares (provider, share, weight, served) values ('replicate', 'flood', 3, 0)")
        .await;
    assert_eq!(place(&stage).await.1, Some(1), "it has the first place of its own share");
    stage
        .sql(&format!(
            "insert into limit_shares (provider, share, served) values ('replicate', '{}', 0.9)",
            stage.client
        ))
        .await;
    assert_eq!(place(&stage).await.1, Some(3), "it had a turn before");
    // Nobody is held up by a model that rests.
    stage
        .sql(
            "insert into provider_limits (provider, class, model, paused_until, pause_reason)
               values ('replicate', 'create', 'another/model', now() + interval '1 hour', 'x')",
        )
        .await;
    line(&stage, 910, "another/model", "third", 3600).await;
    assert_eq!(place(&stage).await.1, Some(3));
    line(&stage, 911, "usual/model", "third", 10).await;
    assert_eq!(place(&stage).await.1, Some(4));
    // Given turns come first.
    stage.sql("update limit_waits set turn_at = now(), turn_ends = now() + interval '1 hour' where task_id = 904").await;
    assert_eq!(place(&stage).await.1, Some(5));
    stage.sql("update limit_waits set turn_at = now() + interval '1 hour', turn_ends = now() + interval '2 hours'").await;
    let (gate, sentence) = stage.only("render").await;
    assert!(matches!(gate, Gate::Provider { obstacle: "line", until: Some(_), .. }), "{gate:?}");
    assert!(sentence.contains("its turn with replicate comes"), "{sentence}");
}

#[sqlx::test(migrations = false)]
#[expect(clippy::disallowed_methods, reason = "a test reads back what it wrote")]
async fn the_start_is_reckoned_from_the_rate(pool: PgPool) {
    let stage = Stage::new(pool).await;
    for task in 900..930 {
        line(&stage, task, MODEL, &stage.client.to_string(), 60).await;
    }
    waits(&stage, 0).await;
    // The next turn of the account is due in an hour; 58.5 of 60 a minute are used.
    stage.sql("update provider_limits set per_minute = 60, next_at = date_trunc('second', now()) + interval '1 hour' where class = 'create'").await;
    let next_at: DateTime<Utc> =
        sqlx::query_scalar("select next_at from provider_limits where class = 'create' and model = '*'")
            .fetch_one(&stage.pool)
            .await
            .unwrap();
    let render = stage.task("render").await;
    let tolerance = TimeDelta::milliseconds(250);
    let step = TimeDelta::microseconds(60_000_000 * 1000 / (60 * 975));
    assert_eq!(render.position.unwrap().ahead, Some(30));
    let line: Vec<&Gate> =
        render.gates.iter().filter(|gate| matches!(gate, Gate::Provider { obstacle: "line", .. })).collect();
    assert_eq!(line.len(), 1, "{:?}", render.gates);
    assert_eq!(render.estimated_start.early, Some(next_at - tolerance + step * 30));
    assert_eq!(
        (render.estimated_start.late, render.estimated_start.reason.as_deref()),
        (None, Some("clients that come to replicate meanwhile have their turns too"))
    );
    let end = stage.explain().await.estimated_end;
    assert!(end.early > render.estimated_start.early, "{end:?}");
    // Without a rate nobody can say.
    stage
        .sql("update provider_limits set per_minute = null, default_per_minute = null where class = 'create'")
        .await;
    let start = stage.task("render").await.estimated_start;
    assert_eq!((start.early, start.reason.as_deref()), (None, Some("no rate of replicate is known")));
}

#[sqlx::test(migrations = false)]
async fn who_waits_longest_for_money_goes_first(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let budget = Budget {
        scope: Scope::All,
        period: Period::Day,
        zone: "UTC".into(),
        soft: None,
        hard: Some(Micros(0)),
    };
    budgets::set(&mut *stage.conn().await, &budget).await.unwrap();
    let task = stage.id("render").await.0;
    stage.set("render", "state = 2, why = 'no money', run_at = now() + interval '10 minutes'").await;
    assert_eq!(stage.task("render").await.position, None, "it is in no line yet");
    stage
        .sql(&format!(
            "insert into spend_waits (task_id, job_id, since) values ({task}, {job}, now())",
            job = stage.job
        ))
        .await;
    assert_eq!(place(&stage).await, (Line::Money, Some(0), Order::Age));
    stage
        .sql(&format!(
            "insert into spend_waits (task_id, job_id, since) select 100000 - n, {job}, now() + n * interval '1 minute' from generate_series(-2, 1) n where n <> 0",
            job = stage.job
        ))
        .await;
    assert_eq!(place(&stage).await, (Line::Money, Some(2), Order::Age));
    let (_, sentence) = stage.only("render").await;
    assert!(
        sentence.ends_with("or the limit is raised; 2 tasks have waited longer for money."),
        "{sentence}"
    );
}
