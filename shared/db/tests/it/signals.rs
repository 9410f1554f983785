//! Changes of jobs are told to whoever listens, and creations are not.

use crate::fixture;
use spool_db::job_deletion::{self, Deletion};
use spool_db::jobs::{self, Parked};
use spool_db::signals::JobSignals;
use spool_job::state::JobState;
use sqlx::PgPool;
use std::time::Duration;

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn each_visible_change_is_told_once_and_a_creation_to_nobody(pool: PgPool) {
    let mut signals = JobSignals::open(&pool).await.unwrap();
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let job = fixture::job(&mut conn, campaign).await;
    assert_eq!(
        signals.probe().await.unwrap(),
        Vec::<i64>::new(),
        "nobody can wait for a job without a number"
    );

    jobs::approve(&mut conn, job, None).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(20), signals.next()).await.expect("told").unwrap();
    assert_eq!(told, Some(job));
    let parked = Parked { what: "budget", why: "no money".into(), until: None };
    jobs::park(&mut conn, job, Some(&parked)).await.unwrap();
    jobs::park(&mut conn, job, Some(&parked)).await.unwrap();
    assert_eq!(signals.probe().await.unwrap(), [job], "what changes nothing is not told");

    let live = job_deletion::delete(&mut conn, job, None, "test").await.unwrap();
    assert_eq!(live, Deletion::Live(JobState::Approved));
    jobs::conclude(&mut conn, job, &jobs::Conclusion::Canceled).await.unwrap();
    assert_eq!(signals.probe().await.unwrap(), [job]);
    let mut tx = pool.begin().await.unwrap();
    assert_eq!(job_deletion::delete(&mut tx, job, None, "test").await.unwrap(), Deletion::Deleted);
    assert_eq!(signals.probe().await.unwrap(), Vec::<i64>::new(), "not before the commit");
    tx.commit().await.unwrap();
    assert_eq!(signals.probe().await.unwrap(), [job]);
    assert_eq!(job_deletion::delete(&mut conn, job, None, "test").await.unwrap(), Deletion::Unknown);
    assert!(jobs::show(&mut conn, job, None).await.unwrap().is_none());
}
