//! A job is called off once, by its owner; a prediction in doubt goes by an operator's word, and only then.

use crate::fixture;
use serde_json::json;
use spool_db::budgets;
use spool_db::cancellation::{self, Cancellation};
use spool_db::jobs;
use spool_db::ledger::{self, JobMoney};
use spool_db::limits;
use spool_db::limits::line::{self, Ask};
use spool_db::predictions::doubt::{self, Resolution, Word};
use spool_db::predictions::{self, Slot};
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use spool_job::state::JobState;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

async fn job(conn: &mut PgConnection) -> i64 {
    let campaign = fixture::campaign(conn).await;
    fixture::job(conn, campaign).await
}

#[expect(clippy::disallowed_methods, reason = "tests look at rows by hand")]
async fn events(conn: &mut PgConnection, job_id: i64, kind: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM job_events WHERE job_id = $1 AND type = $2")
        .bind(job_id)
        .bind(kind)
        .fetch_one(conn)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn before_its_approval_a_job_is_canceled_at_once(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let id = job(&mut conn).await;
    let stranger = Some(Uuid::now_v7());
    assert_eq!(cancellation::request(&mut conn, id, stranger, "k").await.unwrap(), Cancellation::Unknown);
    assert_eq!(cancellation::request(&mut conn, id, None, "k").await.unwrap(), Cancellation::Ended);
    let again = cancellation::request(&mut conn, id, None, "k").await.unwrap();
    assert_eq!(again, Cancellation::Final(JobState::Canceled));
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_job_at_work_is_wound_up_and_asked_once(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let id = job(&mut conn).await;
    jobs::approve(&mut conn, id, None).await.unwrap();
    assert_eq!(cancellation::requested_at(&mut conn, id).await.unwrap(), None);
    for _ in 0..2 {
        let done = cancellation::request(&mut conn, id, None, "k").await.unwrap();
        assert_eq!(done, Cancellation::Requested { state: JobState::Approved });
    }
    assert!(cancellation::requested_at(&mut conn, id).await.unwrap().is_some());
    assert_eq!(events(&mut conn, id, "cancel_requested").await, 1);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn what_is_called_off_waits_for_nothing(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let id = job(&mut conn).await;
    jobs::approve(&mut conn, id, None).await.unwrap();
    let ask = Ask {
        task_id: 1,
        job_id: id,
        provider: "replicate",
        model: "meta/musicgen",
        share: None,
        cost: Micros(1),
    };
    line::join(&mut conn, &ask).await.unwrap();
    let wish = budgets::Wish { task_id: 2, job_id: id, share: None, micros: Micros(1) };
    budgets::wait(&mut conn, &wish).await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    cancellation::request(&mut tx, id, None, "k").await.unwrap();
    tx.commit().await.unwrap();
    assert!(limits::in_line(&mut conn, id).await.unwrap().is_empty(), "nor has it a turn");
    assert!(!budgets::job_waits(&mut conn, id).await.unwrap());
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn only_what_is_in_doubt_goes_by_an_operators_word(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job_id = job(&mut conn).await;
    let slot = Slot { job_id, purpose: Purpose::Music, scene: None, ordinal: 0 };
    let (id, empty) = (Uuid::now_v7(), json!({}));
    predictions::intend(&mut conn, &fixture::intent(id, slot, Micros(5), &empty)).await.unwrap();
    assert_eq!(predictions::open_of_job(&mut conn, job_id).await.unwrap(), [id]);
    predictions::unknown(&mut conn, id, "reset").await.unwrap();
    let early = doubt::resolve(&mut conn, id, &Word::Void, "k").await.unwrap();
    assert_eq!(early, Resolution::NotInDoubt(PredictionState::Unknown));
    predictions::in_doubt(&mut conn, id).await.unwrap();
    let (rows, total) = doubt::list(&mut conn, Some(PredictionState::InDoubt), (10, 0)).await.unwrap();
    assert_eq!((rows[0].id, total), (id, 1));

    predictions::taken_over(&mut conn, id, 77).await.unwrap();
    let claimed = doubt::resolve(&mut conn, id, &Word::Submitted("ext"), "k").await.unwrap();
    assert_eq!(claimed, Resolution::Claimed { task_id: 77 });
    let claim = doubt::claim(&mut conn, id).await.unwrap();
    assert_eq!(claim, Some(("ext".to_owned(), "k".to_owned())));
    doubt::claim_checked(&mut conn, id).await.unwrap();
    assert_eq!(doubt::claim(&mut conn, id).await.unwrap(), None);

    let void = doubt::resolve(&mut conn, id, &Word::Void, "k").await.unwrap();
    assert_eq!(void, Resolution::Void { task_id: 77 });
    assert_eq!(ledger::of_job(&mut conn, job_id).await.unwrap(), JobMoney::default(), "its money is free");
    assert!(predictions::open_of_job(&mut conn, job_id).await.unwrap().is_empty());
    let unknown = doubt::resolve(&mut conn, Uuid::nil(), &Word::Void, "k").await.unwrap();
    assert_eq!(unknown, Resolution::Unknown);
}
