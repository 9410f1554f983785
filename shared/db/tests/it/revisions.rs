//! Jobs that are opened again: what was bought is kept, tries begin anew, and nobody does it twice.

use crate::purchases::{a_job, bought, buy, end, music};
use spool_db::jobs::{self, Approval, Conclusion};
use spool_db::predictions::{self, Slot, Tries};
use spool_db::revisions::{self, Dead, Reopening};
use spool_db::scenes;
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use spool_job::state::{JobState, SceneState};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

async fn approve(conn: &mut PgConnection, job: i64) {
    let approval = jobs::approve(conn, job, None).await.unwrap();
    assert!(matches!(approval, Approval::Approved { revision: 1, .. }));
    jobs::begin(conn, job).await.unwrap();
}

async fn fail(conn: &mut PgConnection, job: i64, code: &str) {
    let end = Conclusion::Failed { code: code.into(), error: "no".into() };
    jobs::conclude(conn, job, &end).await.unwrap();
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_failed_job_begins_a_new_revision_with_what_it_has(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    approve(&mut conn, job).await;
    let board = scenes::list(&mut conn, job).await.unwrap();
    let slot = |index: usize| Slot {
        job_id: job,
        purpose: Purpose::Render,
        scene: Some((board[index].id, 1)),
        ordinal: 0,
    };
    bought(&mut conn, slot(0), 400_000, 0).await;
    sqlx::query!(
        "INSERT INTO media (digest, bytes, content_type) VALUES ($1, 1, 'video/mp4')",
        "b".repeat(64)
    )
    .execute(&mut *conn)
    .await
    .unwrap();
    for (index, state, clip) in
        [(0, SceneState::Completed, Some("b".repeat(64))), (1, SceneState::Failed, None)]
    {
        let id = board[index].id;
        scenes::move_to(&mut conn, id, 1, SceneState::Processing, None, None).await.unwrap();
        assert!(scenes::move_to(&mut conn, id, 1, state, clip.as_deref(), Some("no")).await.unwrap());
    }
    let refused = buy(&mut conn, slot(1), 400_000, 1).await;
    end(&mut conn, refused, PredictionState::Failed, 0).await;
    let under_way = buy(&mut conn, music(job, 1), 9, 2).await;
    predictions::submitted(&mut conn, under_way, "ext", false).await.unwrap();
    assert_eq!(predictions::tries(&mut conn, slot(1)).await.unwrap(), Tries { all: 1, counted: 1 });

    assert!(matches!(
        revisions::reopen(&mut conn, job, None).await.unwrap(),
        Reopening::Running(JobState::Processing)
    ));
    fail(&mut conn, job, "scene_failed").await;
    assert!(matches!(
        revisions::reopen(&mut conn, job, Some(Uuid::now_v7())).await.unwrap(),
        Reopening::Unknown
    ));
    let Reopening::Reopened(reopened) = revisions::reopen(&mut conn, job, None).await.unwrap() else {
        panic!("it has failed")
    };
    assert_eq!((reopened.revision, reopened.scenes.len()), (2, 2));
    assert!(matches!(
        revisions::reopen(&mut conn, job, None).await.unwrap(),
        Reopening::Running(JobState::Approved)
    ));

    let row = jobs::show(&mut conn, job, None).await.unwrap().unwrap();
    assert_eq!((row.state, row.revision, row.error, row.finished_at), (JobState::Approved, 2, None, None));
    assert_eq!((row.progress_percent, row.stage.as_str()), (1, "approved"));
    let states: Vec<String> =
        scenes::list(&mut conn, job).await.unwrap().into_iter().map(|scene| scene.state).collect();
    assert_eq!(states, ["completed", "pending"]);
    let kept = revisions::kept(&mut conn, job).await.unwrap();
    assert_eq!(kept.len(), 2, "{kept:?}");
    let clip = kept.iter().find(|one| one.purpose == Purpose::Render).unwrap();
    assert_eq!((clip.scene, clip.micros), (Some((board[0].id, 1)), Micros(400_000)));
    assert_eq!(predictions::tries(&mut conn, slot(1)).await.unwrap(), Tries::default(), "all tries again");
    let second = buy(&mut conn, slot(1), 400_000, 1).await;
    end(&mut conn, second, PredictionState::Failed, 0).await;
    assert_eq!(predictions::tries(&mut conn, slot(1)).await.unwrap(), Tries { all: 1, counted: 1 });
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn what_was_paid_but_lost_is_bought_under_a_new_version(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    approve(&mut conn, job).await;
    let board = scenes::list(&mut conn, job).await.unwrap();
    let slot = |index: usize| Slot {
        job_id: job,
        purpose: Purpose::Render,
        scene: Some((board[index].id, 1)),
        ordinal: 0,
    };
    let lost = bought(&mut conn, slot(0), 5, 0).await;
    // This one can still be fetched.
    bought(&mut conn, slot(1), 5, 1).await;
    sqlx::query!("UPDATE predictions SET finished_at = now() - interval '61 minutes' WHERE id = $1", lost)
        .execute(&mut *conn)
        .await
        .unwrap();
    fail(&mut conn, job, "collect_failed").await;
    let Reopening::Reopened(reopened) = revisions::reopen(&mut conn, job, None).await.unwrap() else {
        panic!("it has failed")
    };
    assert_eq!(reopened.scenes, [(board[0].id, 2), (board[1].id, 1)]);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn only_what_was_approved_and_has_no_video_is_tried_again(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let never_approved = a_job(&mut conn).await;
    assert!(matches!(
        revisions::reopen(&mut conn, never_approved, None).await.unwrap(),
        Reopening::Running(JobState::Pending)
    ));
    jobs::conclude(&mut conn, never_approved, &Conclusion::Canceled).await.unwrap();
    assert!(matches!(
        revisions::reopen(&mut conn, never_approved, None).await.unwrap(),
        Reopening::Refused(JobState::Canceled)
    ));
    let canceled = a_job(&mut conn).await;
    approve(&mut conn, canceled).await;
    jobs::conclude(&mut conn, canceled, &Conclusion::Canceled).await.unwrap();

    let (render, stitch) = (a_job(&mut conn).await, a_job(&mut conn).await);
    for (job, code) in [(render, "scene_failed"), (stitch, "stitch_failed")] {
        approve(&mut conn, job).await;
        fail(&mut conn, job, code).await;
    }
    let owner = jobs::show(&mut conn, stitch, None).await.unwrap().unwrap();
    let finished = owner.finished_at.unwrap();
    let hour = chrono::TimeDelta::hours(1);
    let code = |code: &str| Dead { error_code: Some(code.into()), ..Dead::default() };
    for (which, wanted) in [
        (Dead::default(), vec![render, stitch]),
        (Dead { canceled: true, ..Dead::default() }, vec![canceled]),
        (code("scene_failed"), vec![render]),
        (code("other"), vec![]),
        (Dead { client: owner.client_id, ..Dead::default() }, vec![stitch]),
        (Dead { campaign: owner.campaign_id, ..Dead::default() }, vec![stitch]),
        (
            Dead { from: Some(finished - hour), to: Some(finished + hour), ..Dead::default() },
            vec![render, stitch],
        ),
        (Dead { from: Some(finished + hour), ..Dead::default() }, vec![]),
        (Dead { to: Some(finished - hour), ..Dead::default() }, vec![]),
    ] {
        let (ids, all) = revisions::dead(&mut conn, &which, 10).await.unwrap();
        assert_eq!((&ids, all), (&wanted, wanted.len() as i64), "{which:?}");
    }
    let (ids, all) = revisions::dead(&mut conn, &Dead::default(), 1).await.unwrap();
    assert_eq!((ids, all), (vec![render], 2), "the longest dead first");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn lost_music_leaves_its_place_to_another_purchase(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    approve(&mut conn, job).await;
    let lost = bought(&mut conn, music(job, 0), 5, 0).await;
    // This one can still be fetched.
    let kept = bought(&mut conn, music(job, 1), 5, 1).await;
    sqlx::query!("UPDATE predictions SET finished_at = now() - interval '61 minutes' WHERE id = $1", lost)
        .execute(&mut *conn)
        .await
        .unwrap();
    fail(&mut conn, job, "music_failed").await;
    let reopened = revisions::reopen(&mut conn, job, None).await.unwrap();
    assert!(matches!(reopened, Reopening::Reopened(_)));
    assert!(predictions::standing(&mut conn, music(job, 0)).await.unwrap().is_none());
    assert_eq!(predictions::standing(&mut conn, music(job, 1)).await.unwrap().unwrap().id, kept);
    let ordinals: Vec<i32> =
        revisions::kept(&mut conn, job).await.unwrap().iter().map(|one| one.ordinal).collect();
    assert_eq!(ordinals, [1]);
    bought(&mut conn, music(job, 0), 5, 0).await;
}
