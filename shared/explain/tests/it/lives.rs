//! Jobs in every state, from approval to each of the ends.

use spool_db::jobs::{self, Conclusion};
use spool_explain::{Explanation, explain};
use spool_job::state::JobState;
use sqlx::PgPool;
use uuid::Uuid;

use crate::stage::Stage;

/// Ends the job as `close` does, and its tasks as said.
async fn end(stage: &Stage, tasks: &str, conclusion: &Conclusion) -> Explanation {
    stage.sql(&format!("{tasks}; delete from queue.edge")).await;
    jobs::conclude(&mut *stage.conn().await, stage.job, conclusion).await.unwrap();
    stage.explain().await
}

#[sqlx::test(migrations = false)]
async fn a_completed_job_says_when(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let digest = "1".repeat(64);
    stage.sql(&format!("insert into media (digest, bytes, content_type) values ('{digest}', 1, 'video/mp4'); update jobs set video_digest = '{digest}'")).await;
    let bury = "select queue.bury(array(select id from queue.task), 5::smallint, null, null, null, null)";
    let found = end(&stage, bury, &Conclusion::Completed).await;
    assert_eq!((found.status, found.gates.len(), found.tasks.len()), (JobState::Completed, 0, 5));
    assert!(found.sentence.starts_with("Completed at "), "{}", found.sentence);
    assert!(
        found.tasks[0].sentence.starts_with("Render of scene 1 was done at "),
        "{}",
        found.tasks[0].sentence
    );
    assert_eq!(found.estimated_end.early, found.estimated_end.late);
    assert!(found.estimated_end.early.is_some() && found.estimated_end.reason.is_none());
    assert_eq!(found.first_failure, None);
}

#[sqlx::test(migrations = false)]
async fn a_failed_job_names_what_failed_first(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let bury = "select queue.bury(array(select id from queue.task where kind = 'render'), 6::smallint, null, 'E005', 'flagged as sensitive', null);
                select queue.bury(array(select id from queue.task), 7::smallint, null, 'parent', null, 'task 1, which it waits for, failed')";
    let failed = Conclusion::Failed { code: "scene_failed".into(), error: "a scene failed".into() };
    let found = end(&stage, bury, &failed).await;
    assert!(found.sentence.starts_with("Failed at "), "{}", found.sentence);
    assert!(
        found.sentence.ends_with(": render of scene 1 failed: flagged as sensitive."),
        "{}",
        found.sentence
    );
    let first = found.first_failure.unwrap();
    assert_eq!(
        (first.kind.as_str(), first.scene, first.error_class.as_deref()),
        ("render", Some(1), Some("E005"))
    );
    let stitch = found.tasks.iter().find(|task| task.kind == "stitch").unwrap();
    assert!(stitch.sentence.ends_with(": task 1, which it waits for, failed."), "{}", stitch.sentence);
    assert_eq!(
        (stitch.state, stitch.estimated_start.reason.as_deref()),
        ("canceled", Some("it never started"))
    );
}

#[sqlx::test(migrations = false)]
async fn a_canceled_job_says_so(pool: PgPool) {
    let stage = Stage::pending(pool, 1, false).await;
    jobs::conclude(&mut *stage.conn().await, stage.job, &Conclusion::Canceled).await.unwrap();
    let found = stage.explain().await;
    assert!(found.sentence.starts_with("Canceled at "), "{}", found.sentence);
    assert_eq!((found.gates.len(), found.tasks.len()), (0, 0));
}

#[sqlx::test(migrations = false)]
async fn other_clients_jobs_do_not_exist(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let mut conn = stage.conn().await;
    assert!(explain(&mut conn, stage.job, Some(stage.client)).await.unwrap().is_some());
    assert!(explain(&mut conn, stage.job, Some(Uuid::now_v7())).await.unwrap().is_none());
    assert!(explain(&mut conn, stage.job + 1, None).await.unwrap().is_none());
}

#[sqlx::test(migrations = false)]
async fn one_part_goes_on_while_another_waits(pool: PgPool) {
    let stage = Stage::pending(pool, 2, true).await;
    stage.approve().await;
    stage.worker().await;
    stage.run("music").await;
    spool_db::budgets::stop(&mut *stage.conn().await, "enough", "ops").await.unwrap();
    // The second stretch waits for the first: it does not run.
    let found = stage.explain().await;
    assert!(
        found.sentence.starts_with("In progress: 0 of 8 tasks are done, under way: music under scene 1; render of scene 1 waits for money: all spending is stopped since "),
        "{}",
        found.sentence
    );
    assert!(
        found.sentence.ends_with("goes on when the stop is lifted (one other task waits too)."),
        "{}",
        found.sentence
    );
}
