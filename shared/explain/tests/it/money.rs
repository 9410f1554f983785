//! Gates of purchases: providers, the stop, budgets, and what was bought already.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use spool_db::budgets::{self, Budget, Period, Scope};
use spool_db::limits::standing::{self, Class};
use spool_db::limits::{breaker, feedback};
use spool_db::predictions::{self, NewIntent, Slot};
use spool_explain::Gate;
use spool_job::money::Micros;
use spool_job::prediction::Purpose;
use sqlx::PgPool;
use uuid::Uuid;

use crate::stage::{CLIP, Stage};

const MODEL: &str = "google/veo-3.1-fast";

async fn limit(stage: &Stage, scope: Scope, period: Period, hard: i64) {
    let budget = Budget { scope, period, zone: "UTC".into(), soft: None, hard: Some(Micros(hard)) };
    budgets::set(&mut *stage.conn().await, &budget).await.unwrap();
}

fn turns_at(gate: &Gate) -> Option<DateTime<Utc>> {
    if let Gate::Budget { turns_at, .. } = gate { *turns_at } else { None }
}

/// Buys the clip of the first scene.
async fn buy(stage: &Stage) -> Uuid {
    let mut tx = stage.pool.begin().await.unwrap();
    let (id, empty, scene) = (Uuid::now_v7(), json!({}), stage.scene(&mut tx).await);
    let intent = NewIntent {
        id,
        slot: Slot { job_id: stage.job, purpose: Purpose::Render, scene: Some(scene), ordinal: 0 },
        attempt: 1,
        task_id: 1,
        lease_token: 1,
        provider: "replicate",
        model: "google/veo-3.1-fast",
        input: &empty,
        input_digest: &"0".repeat(64),
        memo_key: &"0".repeat(64),
        media: &empty,
        unit: "second",
        unit_price: Micros(100_000),
        list: Micros(CLIP),
        estimate: Micros(CLIP),
    };
    predictions::intend(&mut tx, &intent).await.unwrap();
    tx.commit().await.unwrap();
    id
}

#[sqlx::test(migrations = false)]
async fn a_budget_that_turns(pool: PgPool) {
    let stage = Stage::new(pool).await;
    limit(&stage, Scope::All, Period::Day, CLIP).await;
    assert_eq!(stage.task("render").await.gates, [], "it just fits");
    limit(&stage, Scope::All, Period::Day, 300_000).await;
    let (gate, sentence) = stage.only("render").await;
    let turn = turns_at(&gate).unwrap();
    let expected = Gate::Budget {
        scope: "all",
        scope_id: String::new(),
        period: "day",
        hard_micros: 300_000,
        wanted_micros: CLIP,
        missing_micros: 100_000,
        turns_at: Some(turn),
    };
    assert_eq!(gate, expected);
    let money = "$0.40 would pass the daily limit of $0.30 by $0.10; goes on when the day turns at 00:00 UTC or the limit is raised.";
    assert_eq!(sentence, format!("Render of scene 1 waits for money: {money}"));
    // As the worker parks it: nothing but the money is in the way.
    stage.set("render", "state = 2, why = 'no money', run_at = now() + interval '10 minutes'").await;
    assert_eq!(stage.only("render").await.0, expected);
    let found = stage.explain().await;
    assert_eq!((found.sentence, found.gates), (format!("Waits for money: {money}"), vec![expected]));
    assert!(found.estimated_end.early > Some(turn), "{:?}", found.estimated_end);
    assert_eq!(
        (found.estimated_end.late, found.estimated_end.reason.as_deref()),
        (None, Some("other purchases that wait for the same money may go first"))
    );
}

#[sqlx::test(migrations = false)]
async fn a_budget_that_never_turns(pool: PgPool) {
    let stage = Stage::new(pool).await;
    limit(&stage, Scope::Client(stage.client), Period::Total, 0).await;
    limit(&stage, Scope::Client(Uuid::now_v7()), Period::Total, 0).await;
    let (gate, sentence) = stage.only("render").await;
    assert_eq!(turns_at(&gate), None);
    assert_eq!(
        sentence,
        format!(
            "Render of scene 1 waits for money: $0.40 would pass the total limit of client {} of $0.00 by $0.40; \
             goes on when the limit is raised.",
            stage.client
        )
    );
    let end = stage.explain().await.estimated_end;
    assert_eq!(
        (end.early, end.reason.as_deref()),
        (None, Some("nobody knows when the limit on the money is raised"))
    );
}

#[sqlx::test(migrations = false)]
async fn the_emergency_stop(pool: PgPool) {
    let stage = Stage::new(pool).await;
    budgets::stop(&mut *stage.conn().await, "prices look wrong", "ops").await.unwrap();
    let (gate, sentence) = stage.only("render").await;
    let Gate::EmergencyStop { why, since } = gate else { panic!("{gate:?}") };
    assert_eq!(why, "prices look wrong");
    let since = since.format("%H:%M:%S UTC").to_string().replace(":00 UTC", " UTC");
    let clause = format!(
        "for money: all spending is stopped since {since}: prices look wrong; goes on when the stop is lifted."
    );
    assert_eq!(sentence, format!("Render of scene 1 waits {clause}"));
    assert_eq!(stage.explain().await.sentence, format!("Waits {clause}"));
    budgets::go_on(&mut *stage.conn().await).await.unwrap();
    assert_eq!(stage.task("render").await.gates, []);
}

#[sqlx::test(migrations = false)]
async fn a_pause_of_the_provider(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let hour = Duration::from_secs(3600);
    let (another, conn) = ("another/model", &mut *stage.conn().await);
    feedback::crowded(conn, "replicate", another, hour, "E6716").await.unwrap();
    assert_eq!(stage.task("render").await.gates, [], "another model");
    feedback::throttled(&mut *stage.conn().await, "replicate", hour, None).await.unwrap();
    stage
        .set(
            "render",
            "state = 2, why = 'replicate is paused: throttled by replicate', run_at = now() + interval '1 hour'",
        )
        .await;
    let render = stage.task("render").await;
    assert_eq!(render.gates.len(), 1, "{render:#?}");
    let gate = render.gates[0].clone();
    let Gate::Provider { provider, model, obstacle, why, until } = gate else { panic!("{gate:?}") };
    assert_eq!((provider.as_str(), model.as_str()), ("replicate", "google/veo-3.1-fast"));
    assert_eq!((obstacle, why.as_str()), ("pause", "replicate is paused: throttled by replicate"));
    let until = until.unwrap();
    let clock = until.format("%H:%M:%S UTC").to_string().replace(":00 UTC", " UTC");
    assert_eq!(
        render.sentence,
        format!(
            "Render of scene 1 waits for google/veo-3.1-fast: replicate is paused: throttled by replicate; goes on at {clock}."
        )
    );
    let start = render.estimated_start;
    assert_eq!((start.early, start.late), (Some(until), Some(until)));
}

/// The only gate is the provider's, and nobody knows when it opens.
async fn held_back(stage: &Stage, expected: &str, reason: &str) {
    let (gate, sentence) = stage.only("render").await;
    let Gate::Provider { provider, model, obstacle, why, until } = gate else { panic!("{gate:?}") };
    assert_eq!((provider.as_str(), model.as_str()), ("replicate", MODEL));
    assert_eq!((obstacle, why.as_str(), until), (expected, reason, None));
    assert_eq!(sentence, format!("Render of scene 1 waits for {MODEL}: {reason}."));
    let found = stage.explain().await;
    assert_eq!(found.sentence, format!("Waits for {MODEL}: {reason}."));
    assert_eq!(
        (found.estimated_end.early, found.estimated_end.reason.as_deref()),
        (None, Some("nobody knows when replicate takes calls again"))
    );
}

#[sqlx::test(migrations = false)]
async fn an_open_breaker(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let why = "its clips are grey";
    breaker::hold_open(&mut *stage.conn().await, "replicate", "another/model", why).await.unwrap();
    assert_eq!(stage.task("render").await.gates, [], "another model");
    breaker::hold_open(&mut *stage.conn().await, "replicate", MODEL, why).await.unwrap();
    let reason = "an operator holds google/veo-3.1-fast back: its clips are grey";
    held_back(&stage, "breaker", reason).await;
    // As the worker parks it: the breaker says all of it.
    let parked = format!("state = 2, why = '{reason}', run_at = now() + interval '2 minutes'");
    stage.set("render", &parked).await;
    held_back(&stage, "breaker", reason).await;
    assert!(breaker::close(&mut *stage.conn().await, "replicate", MODEL).await.unwrap());
    stage.set("render", "state = 0, why = NULL, run_at = now()").await;
    assert_eq!(stage.task("render").await.gates, []);
}

#[sqlx::test(migrations = false)]
async fn as_many_in_flight_as_may_be(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let most = async |most: i32| {
        let conn = &mut *stage.conn().await;
        standing::set(conn, "replicate", Class::Create, MODEL, None, Some(most)).await.unwrap();
    };
    most(0).await;
    let reason = "google/veo-3.1-fast has 0 predictions in flight, as many as it may";
    held_back(&stage, "in_flight", reason).await;
    most(1).await;
    assert_eq!(stage.task("render").await.gates, [], "there is room for one");
}

#[sqlx::test(migrations = false)]
async fn what_is_bought_waits_for_no_money(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let id = buy(&stage).await;
    predictions::submitted(&mut *stage.conn().await, id, "x1", false).await.unwrap();
    stage.set("render", "state = 2, why = 'rendering', run_at = now() + interval '5 seconds'").await;
    limit(&stage, Scope::All, Period::Day, 0).await;
    budgets::stop(&mut *stage.conn().await, "stop", "ops").await.unwrap();
    let (gate, sentence) = stage.only("render").await;
    let Gate::Prediction { prediction_id, ref model, state, .. } = gate else { panic!("{gate:?}") };
    assert_eq!((prediction_id, model.as_str(), state), (id, "google/veo-3.1-fast", "submitted"));
    assert!(
        sentence
            .starts_with("Render of scene 1 is with the provider: google/veo-3.1-fast works on it since "),
        "{sentence}"
    );
    let found = stage.explain().await;
    assert_eq!(found.gates, [], "nothing is in the way");
    assert_eq!(found.sentence, "In progress: 0 of 5 tasks are done, under way: render of scene 1.");
    assert!(found.estimated_end.late.is_some(), "{:?}", found.estimated_end);
}

#[sqlx::test(migrations = false)]
async fn a_lost_answer_and_a_doubt(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let id = buy(&stage).await;
    predictions::unknown(&mut *stage.conn().await, id, "timeout").await.unwrap();
    stage.set("render", "state = 2, why = 'looking', run_at = now() + interval '5 seconds'").await;
    let (gate, sentence) = stage.only("render").await;
    assert!(matches!(gate, Gate::Prediction { state: "unknown", .. }), "{gate:?}");
    assert!(
        sentence.starts_with(
            "Render of scene 1 looks for a call of google/veo-3.1-fast whose answer was lost at "
        ),
        "{sentence}"
    );
    assert_eq!(stage.explain().await.gates, [gate], "it keeps the job from going on");
    predictions::in_doubt(&mut *stage.conn().await, id).await.unwrap();
    let (gate, sentence) = stage.only("render").await;
    assert!(matches!(gate, Gate::Prediction { state: "in_doubt", .. }), "{gate:?}");
    assert!(sentence.starts_with("Render of scene 1 waits for an operator: "), "{sentence}");
    let end = stage.explain().await.estimated_end;
    assert_eq!(
        (end.early, end.reason.as_deref()),
        (None, Some("an operator has to find out whether it was bought"))
    );
}
