//! Places and times, and what they are taken from.

use chrono::TimeDelta;
use spool_explain::{Basis, Line, Order};
use spool_queue::limits::{self, Limits};
use sqlx::PgPool;

use crate::stage::Stage;

fn seconds(seconds: i64) -> TimeDelta {
    TimeDelta::try_seconds(seconds).unwrap()
}

#[sqlx::test(migrations = false)]
async fn the_place_counts_age_and_priority(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage.others("predict", "a", 3, 60).await;
    stage.others("predict", "b", 2, -1).await;
    let at = stage.task("render").await.position.unwrap();
    assert_eq!(
        (at.line, at.ahead, at.order),
        (Line::Queue, Some(3), Order::Age),
        "those that are ready for longer"
    );
    stage.set("render", "priority = 2").await;
    assert_eq!(stage.task("render").await.position.unwrap().ahead, Some(0), "two minutes of head start");
    assert_eq!(stage.task("stitch").await.position, None, "it is in no line");
}

#[sqlx::test(migrations = false)]
async fn in_a_fair_queue_a_flood_does_not_go_before(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage.others("predict", "flood", 12_000, 3600).await;
    let at = stage.task("render").await.position.unwrap();
    assert_eq!((at.ahead, at.order), (None, Order::Age), "more than it counts");
    let render = stage.task("render").await;
    assert_eq!(
        render.sentence,
        "Render of scene 1 is ready: more than 10000 ready tasks of queue predict go before it."
    );
    let fair = Limits { fair: true, ..Limits::default() };
    limits::set(&mut *stage.conn().await, "predict", &fair).await.unwrap();
    let at = stage.task("render").await.position.unwrap();
    assert_eq!((at.ahead, at.order), (Some(1), Order::Fair), "one turn of the other");
}

#[sqlx::test(migrations = false)]
async fn without_a_history_it_says_that_the_figures_are_built_in(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let found = stage.explain().await;
    assert_eq!(found.estimated_end.basis, Some(Basis::Default));
    // Render, collect, stitch, mix, verify, close.
    let (early, late) = (90 + 5 + 5 + 5 + 10 + 1, 300 + 30 + 60 + 60 + 90 + 5);
    assert_eq!(found.estimated_end.early, Some(found.at + seconds(early)));
    assert_eq!(found.estimated_end.late, Some(found.at + seconds(late)));
    let stitch = found.tasks.iter().find(|task| task.kind == "stitch").unwrap();
    assert_eq!(stitch.estimated_start.early, Some(found.at + seconds(95)), "after render and collect");
}

#[sqlx::test(migrations = false)]
async fn recent_runs_count_more_than_built_in_figures(pool: PgPool) {
    let stage = Stage::new(pool).await;
    // 20 runs of each kind that took 1, 2, ... 20 s; what failed or came back counts for nothing.
    stage
        .sql("insert into queue.task_history (id, finished_at, created_at, run_at, started_at, parks, state, priority, version, attempt, queue, kind, payload)
              select nextval('queue.task_id'), now(), now(), now(), now() - n * interval '1 second', 0, state, 0, 1, 1, 'x', kind, '1'
              from generate_series(1, 20) n, unnest(array['collect', 'stitch', 'mix', 'verify', 'close']) kind, unnest(array[5, 6]) state
              where state = 5 or n = 20;
              insert into predictions (id, job_id, purpose, scene_id, scene_version, attempt, task_id, lease_token, provider, model, input, input_digest,
                                       state, external_id, unit, estimate_micros, cost_micros, intent_at, finished_at)
              select gen_random_uuid(), j.id, 'render', gen_random_uuid(), 1, 1, 1, 1, 'replicate', 'm', '{}', repeat('0', 64),
                     'succeeded', n::text, 'second', 1, 1, now() - n * interval '1 second', now() from jobs j, generate_series(1, 8) n")
        .await;
    let found = stage.explain().await;
    assert_eq!(found.estimated_end.basis, Some(Basis::History { runs: 8 }), "the fewest");
    // 4.5 s of rendering, and 10.5 s for each of the others.
    let millis = |millis: i64| TimeDelta::try_milliseconds(millis).unwrap();
    assert_eq!(found.estimated_end.early, Some(found.at + millis(4500 + 5 * 10_500)));
    let end = found.tasks.iter().find(|task| task.kind == "render").unwrap().estimated_end.clone();
    assert_eq!((end.early, end.basis), (Some(found.at + millis(4500)), Some(Basis::History { runs: 8 })));
}

#[sqlx::test(migrations = false)]
async fn what_takes_longer_than_ever_ends_nobody_knows_when(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage.run("render").await;
    stage.set("render", "claimed_at = now() - interval '1 hour'").await;
    let found = stage.explain().await;
    let render = &found.tasks[0];
    assert_eq!(render.estimated_end.early, Some(found.at));
    assert_eq!(
        (render.estimated_end.late, render.estimated_end.reason.as_deref()),
        (None, Some("render of scene 1 takes longer than 95 of 100 do"))
    );
    assert_eq!(found.estimated_end.late, None, "nor when the job ends");
    assert_eq!(found.estimated_end.early, Some(found.at + seconds(5 + 5 + 5 + 10 + 1)));
}

#[sqlx::test(migrations = false)]
async fn a_long_line_takes_turns_of_all_slots(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage.sql("update queue.worker set slots = '{\"predict\": 4, \"ffmpeg\": 1, \"light\": 1}'").await;
    stage.others("predict", "a", 9, 60).await;
    let found = stage.explain().await;
    // 4 and 4 go first, then it: twice all slots change hands, at 1 s (or 5 s) for a look.
    assert_eq!(found.tasks[0].estimated_start.early, Some(found.at + seconds(1)));
    assert_eq!(found.tasks[0].estimated_start.late, Some(found.at + seconds(10)));
}
