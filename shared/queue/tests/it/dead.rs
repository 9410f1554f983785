//! Lists of dead tasks.

use chrono::TimeDelta;
use serde_json::json;
use spool_queue::{
    Batch, TaskState, control,
    inspect::{self, Dead},
};
use sqlx::PgPool;

use crate::harness::{plan_with_indexes, step};

/// Seven canceled tasks of two groups.
async fn seven(pool: &PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let mut batch = Batch::new();
    for n in 0..7 {
        batch.add(step(json!(n)).group_key(if n < 5 { "many" } else { "few" }));
    }
    let made = batch.insert(&mut conn).await.unwrap();
    for id in made.ids {
        let _ = control::cancel_task(&mut conn, id, "no").await.unwrap();
    }
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn pages_show_each_task_once_the_latest_first(pool: PgPool) {
    seven(&pool).await;
    // Three of them ended at the same moment.
    sqlx::query!("update queue.task_history set finished_at = (select min(finished_at) from queue.task_history) where id % 2 = 0")
        .execute(&pool)
        .await
        .unwrap();
    let mut conn = pool.acquire().await.unwrap();
    let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = inspect::dead(&mut conn, &Dead::canceled(), after, 2).await.unwrap();
        assert!(page.tasks.len() <= 2);
        seen.extend(page.tasks);
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((seen.len(), pages), (7, 4));
    assert!(seen.is_sorted_by(|a, b| (a.finished_at, a.id) > (b.finished_at, b.id)));
    assert!(seen.iter().all(|task| task.state == TaskState::Canceled && task.why.as_deref() == Some("no")));
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn every_condition_of_a_filter_counts(pool: PgPool) {
    seven(&pool).await;
    let mut conn = pool.acquire().await.unwrap();
    let all = inspect::dead(&mut conn, &Dead::canceled(), None, 100).await.unwrap().tasks;
    let (last, first) = (all[0].finished_at, all[6].finished_at);
    let hour = TimeDelta::hours(1);
    for (filter, found) in [
        (Dead::canceled(), 7),
        (Dead::failed(), 0),
        (Dead::canceled().group_key("many"), 5),
        (Dead::canceled().group_key("few").kind("step").queue("main"), 2),
        (Dead::canceled().kind("other"), 0),
        (Dead::canceled().queue("side"), 0),
        (Dead::canceled().error_class("parent"), 0),
        (Dead::canceled().since(first).before(last + hour), 7),
        (Dead::canceled().since(last + hour), 0),
        (Dead::canceled().before(first), 0),
    ] {
        let listed = inspect::dead(&mut conn, &filter, None, 100).await.unwrap();
        assert_eq!(listed.tasks.len(), found, "{filter:?}");
        let counted: u64 =
            inspect::count_dead(&mut conn, &filter).await.unwrap().iter().map(|count| count.tasks).sum();
        assert_eq!(counted, found as u64, "{filter:?}");
    }
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn the_list_of_failures_needs_no_sort(pool: PgPool) {
    let list = "select h.id from queue.task_history h where h.state = 6 order by h.finished_at desc, h.id desc limit 10";
    let plan = plan_with_indexes(&pool, list).await;
    assert!(plan.contains("finished_at_id_idx") && !plan.contains("->  Sort"), "{plan}");
}
