//! Jobs: created with their storyboard, approved once, concluded once, never going backwards.

use crate::fixture;
use spool_db::error::DbError;
use spool_db::jobs::{self, Approval, Conclusion};
use spool_db::scenes;
use spool_job::state::{JobState, SceneState};
use sqlx::PgPool;
use uuid::Uuid;

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn names_count_up_per_campaign_and_the_storyboard_stands(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let first = fixture::job(&mut conn, campaign).await;
    let second = fixture::job(&mut conn, campaign).await;
    let show = jobs::show(&mut conn, first, None).await.unwrap().unwrap();
    assert_eq!(
        (show.video_name.as_str(), show.state, show.progress_percent),
        ("Autumn 1", JobState::Pending, 0)
    );
    assert_eq!(jobs::show(&mut conn, second, None).await.unwrap().unwrap().video_name, "Autumn 2");
    let scenes = scenes::list(&mut conn, first).await.unwrap();
    assert_eq!(scenes.iter().map(|s| s.index).collect::<Vec<_>>(), [0, 1]);
    assert!(
        jobs::show(&mut conn, first, Some(Uuid::now_v7())).await.unwrap().is_none(),
        "another client sees nothing"
    );
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn of_many_approvals_at_once_one_wins(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let job = fixture::job(&mut conn, campaign).await;
    drop(conn);
    let attempts = (0..8).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let mut tx = pool.begin().await.unwrap();
            let approval = jobs::approve(&mut tx, job, None).await.unwrap();
            tx.commit().await.unwrap();
            matches!(approval, Approval::Approved { .. })
        })
    });
    let mut won = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        won += usize::from(attempt.await.unwrap());
    }
    assert_eq!(won, 1);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn an_approval_that_rolls_back_leaves_it_pending(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let job = fixture::job(&mut conn, campaign).await;
    let mut tx = pool.begin().await.unwrap();
    assert!(matches!(jobs::approve(&mut tx, job, None).await.unwrap(), Approval::Approved { .. }));
    drop(tx);
    assert_eq!(jobs::version(&mut conn, job, None).await.unwrap().unwrap().state, JobState::Pending);
    assert!(matches!(jobs::approve(&mut conn, 999, None).await.unwrap(), Approval::Unknown));
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_job_is_concluded_once_and_needs_its_video_to_complete(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let job = fixture::job(&mut conn, campaign).await;
    let without_video = jobs::conclude(&mut conn, job, &Conclusion::Completed).await.unwrap_err();
    assert!(matches!(without_video, DbError::Query { .. }), "the constraint refuses it: {without_video}");
    let end = Conclusion::Failed { code: "scene_failed".into(), error: "scene 1: no".into() };
    jobs::conclude(&mut conn, job, &end).await.unwrap();
    let again = jobs::conclude(&mut conn, job, &end).await.unwrap_err();
    assert!(matches!(again, DbError::Moved { .. }), "{again}");
    let show = jobs::show(&mut conn, job, None).await.unwrap().unwrap();
    assert_eq!(
        (show.state, show.stage.as_str(), show.error.as_deref()),
        (JobState::Failed, "failed", Some("scene 1: no"))
    );
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn progress_never_falls_and_every_change_raises_the_version(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let job = fixture::job(&mut conn, campaign).await;
    jobs::approve(&mut conn, job, None).await.unwrap();
    jobs::begin(&mut conn, job).await.unwrap();
    let before = jobs::show(&mut conn, job, None).await.unwrap().unwrap();
    for scene in scenes::list(&mut conn, job).await.unwrap() {
        assert!(scenes::move_to(&mut conn, scene.id, 1, SceneState::Processing, None, None).await.unwrap());
        spool_db::progress::refresh(&mut conn, job, "scene_started", &serde_json::json!({})).await.unwrap();
        assert!(scenes::move_to(&mut conn, scene.id, 1, SceneState::Failed, None, Some("no")).await.unwrap());
        assert!(
            !scenes::move_to(&mut conn, scene.id, 2, SceneState::Processing, None, None).await.unwrap(),
            "other version"
        );
        spool_db::progress::refresh(&mut conn, job, "scene_failed", &serde_json::json!({})).await.unwrap();
        // A failed scene that is tried again stands lower; what is shown does not fall.
        scenes::move_to(&mut conn, scene.id, 1, SceneState::Processing, None, None).await.unwrap();
        let high = jobs::show(&mut conn, job, None).await.unwrap().unwrap().progress_percent;
        spool_db::progress::refresh(&mut conn, job, "scene_started", &serde_json::json!({})).await.unwrap();
        let after = jobs::show(&mut conn, job, None).await.unwrap().unwrap();
        assert!(after.progress_percent >= high && after.version > before.version);
    }
}
