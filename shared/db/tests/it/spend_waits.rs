//! The line for money: fair between clients, longest waiting first, nobody held up by what does not fit.

use crate::fixture;
use serde_json::json;
use spool_db::budgets::{self, Budget, Decision, Period, Place, Scope, Wish};
use spool_db::jobs::{self, Conclusion};
use spool_db::predictions::{self, Slot};
use spool_job::money::Micros;
use spool_job::prediction::Purpose;
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

const PRICE: i64 = 400_000;

async fn limit(conn: &mut PgConnection, scope: Scope, hard: i64) {
    let budget =
        Budget { scope, period: Period::Total, zone: "UTC".into(), soft: None, hard: Some(Micros(hard)) };
    budgets::set(conn, &budget).await.unwrap();
}

fn wish(task_id: i64, job_id: i64, share: &str, micros: i64) -> Wish<'_> {
    Wish { task_id, job_id, share: Some(share), micros: Micros(micros) }
}

async fn wait(conn: &mut PgConnection, wish: Wish<'_>) {
    budgets::wait(conn, &wish).await.unwrap();
}

async fn place(conn: &mut PgConnection, wish: Wish<'_>) -> Place {
    budgets::place(conn, &wish).await.unwrap()
}

/// Buys, as a task does that has its turn, and leaves the line.
async fn buy(conn: &mut PgConnection, task_id: i64, job_id: i64, micros: i64) -> Decision {
    let (id, empty) = (Uuid::now_v7(), json!({}));
    let slot = Slot { job_id, purpose: Purpose::Music, scene: None, ordinal: task_id as i32 };
    let intent = fixture::intent(id, slot, Micros(micros), &empty);
    let decision = predictions::intend(conn, &intent).await.unwrap();
    budgets::waits_no_more(conn, task_id).await.unwrap();
    decision
}

async fn a_job(conn: &mut PgConnection) -> i64 {
    let campaign = fixture::campaign(conn).await;
    fixture::job(conn, campaign).await
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_flood_and_a_few_share_what_a_raised_limit_gives(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let (flood, few) = (a_job(&mut conn).await, a_job(&mut conn).await);
    limit(&mut conn, Scope::All, 0).await;
    for task in 1..=20 {
        wait(&mut conn, wish(task, flood, "flood", PRICE)).await;
    }
    for task in 101..=104 {
        wait(&mut conn, wish(task, few, "few", PRICE)).await;
    }
    assert!(budgets::offer(&mut conn).await.unwrap().is_empty(), "there is nothing");
    let mut hard = 0;
    // By one, by one, by four, by four: each has had half, until the few have all they want.
    for (more, offered) in [(1, vec![1]), (1, vec![101]), (4, vec![2, 3, 102, 103]), (4, vec![4, 5, 6, 104])]
    {
        hard += more * PRICE;
        limit(&mut conn, Scope::All, hard).await;
        assert_eq!(budgets::offer(&mut conn).await.unwrap(), offered);
        assert!(budgets::offer(&mut conn).await.unwrap().is_empty(), "it is offered once");
        for task in offered {
            let job = if task > 100 { few } else { flood };
            assert_eq!(place(&mut conn, wish(task, job, "", PRICE)).await, Place::Try);
            assert_eq!(buy(&mut conn, task, job, PRICE).await, Decision::Held);
        }
    }
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn what_does_not_fit_holds_up_nobody_and_comes_when_it_fits(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let (one, other) = (a_job(&mut conn).await, a_job(&mut conn).await);
    limit(&mut conn, Scope::All, PRICE).await;
    limit(&mut conn, Scope::Job(other), PRICE / 4).await;
    wait(&mut conn, wish(1, one, "one", 4 * PRICE)).await;
    wait(&mut conn, wish(2, one, "one", PRICE / 2)).await;
    wait(&mut conn, wish(3, other, "other", PRICE / 2)).await;
    wait(&mut conn, wish(4, other, "other", PRICE / 4)).await;
    assert_eq!(
        budgets::offer(&mut conn).await.unwrap(),
        [2, 4],
        "1 and 3 are too dear, each for another budget"
    );
    assert_eq!(buy(&mut conn, 2, one, PRICE / 2).await, Decision::Held);
    assert_eq!(buy(&mut conn, 4, other, PRICE / 4).await, Decision::Held);
    // A cheap newcomer need not wait for those whom it does not harm.
    assert_eq!(place(&mut conn, wish(5, one, "one", PRICE / 4)).await, Place::Try);
    limit(&mut conn, Scope::All, 5 * PRICE).await;
    assert_eq!(budgets::offer(&mut conn).await.unwrap(), [1]);
    assert_eq!(buy(&mut conn, 1, one, 4 * PRICE).await, Decision::Held);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn newcomers_stand_back_for_those_who_wait(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let (job, other) = (a_job(&mut conn).await, a_job(&mut conn).await);
    let newcomer = |micros| wish(9, other, "other", micros);
    limit(&mut conn, Scope::All, 0).await;
    assert_eq!(
        place(&mut conn, newcomer(PRICE)).await,
        Place::Try,
        "nobody waits: it will hear what is missing"
    );
    wait(&mut conn, wish(1, job, "job", PRICE)).await;
    wait(&mut conn, wish(2, job, "job", PRICE)).await;
    assert_eq!(place(&mut conn, newcomer(PRICE)).await, Place::Try, "nobody could have it");
    limit(&mut conn, Scope::All, PRICE * 3 / 2).await;
    // Before anybody has offered anything, and after: 1 may have it.
    assert_eq!(place(&mut conn, newcomer(PRICE)).await, Place::Behind);
    assert_eq!(place(&mut conn, wish(2, job, "job", PRICE)).await, Place::Behind, "1 fits as well");
    assert_eq!(budgets::offer(&mut conn).await.unwrap(), [1]);
    assert_eq!(place(&mut conn, newcomer(PRICE)).await, Place::Behind);
    assert_eq!(place(&mut conn, newcomer(PRICE / 2)).await, Place::Try, "there is so much beside the offer");
    assert_eq!(place(&mut conn, wish(2, job, "job", PRICE)).await, Place::Behind);
    assert_eq!(place(&mut conn, wish(1, job, "job", PRICE)).await, Place::Try);
    // While all is stopped, everybody hears that instead.
    budgets::stop(&mut conn, "x", "x").await.unwrap();
    assert_eq!(place(&mut conn, newcomer(PRICE)).await, Place::Try);
    assert!(budgets::offer_while_spending(&mut conn).await.unwrap().is_empty());
    budgets::go_on(&mut conn).await.unwrap();
    // An offer that is not taken up keeps nothing after a minute; its task may still come.
    sqlx::query!("UPDATE spend_waits SET offered_at = offered_at - interval '61 seconds' WHERE task_id = 1")
        .execute(&mut *conn)
        .await
        .unwrap();
    assert_eq!(budgets::offer_while_spending(&mut conn).await.unwrap(), [2]);
    assert_eq!(place(&mut conn, wish(1, job, "job", PRICE)).await, Place::Try);
    // It was late and somebody else was quicker: it waits again, in its old place.
    assert_eq!(buy(&mut conn, 2, job, PRICE).await, Decision::Held);
    wait(&mut conn, wish(1, job, "job", PRICE)).await;
    limit(&mut conn, Scope::All, 10 * PRICE).await;
    wait(&mut conn, wish(3, job, "job", PRICE)).await;
    assert_eq!(budgets::offer(&mut conn).await.unwrap(), [1, 3]);
    assert_eq!(place(&mut conn, newcomer(PRICE)).await, Place::Try, "there is enough for all");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn waits_keep_their_place_and_end_with_their_job(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let (job, other) = (a_job(&mut conn).await, a_job(&mut conn).await);
    for (task, job) in [(9, job), (1, other), (9, job), (2, job)] {
        wait(&mut conn, wish(task, job, "", PRICE)).await;
    }
    budgets::waits_no_more(&mut conn, 1).await.unwrap();
    assert!(!budgets::job_waits(&mut conn, other).await.unwrap());
    assert!(budgets::job_waits(&mut conn, job).await.unwrap());
    for (hard, offered) in [(PRICE, 9), (2 * PRICE, 2)] {
        limit(&mut conn, Scope::All, hard).await;
        assert_eq!(budgets::offer(&mut conn).await.unwrap(), [offered]);
    }
    let failed = Conclusion::Failed { code: "x".into(), error: "x".into() };
    jobs::conclude(&mut conn, job, &failed).await.unwrap();
    assert!(!budgets::job_waits(&mut conn, job).await.unwrap());
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn when_the_day_turns_those_who_waited_for_it_go_on(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let (job, poor) = (a_job(&mut conn).await, a_job(&mut conn).await);
    let daily = Budget {
        scope: Scope::All,
        period: Period::Day,
        zone: "UTC".into(),
        soft: None,
        hard: Some(Micros(PRICE)),
    };
    budgets::set(&mut conn, &daily).await.unwrap();
    limit(&mut conn, Scope::Job(poor), PRICE / 2).await;
    assert_eq!(buy(&mut conn, 1, job, PRICE).await, Decision::Held);
    // As the worker tries it: what is not held leaves nothing behind.
    let mut tx = conn.begin().await.unwrap();
    let Decision::Short(short) = buy(&mut tx, 2, job, PRICE).await else { panic!("the day is used up") };
    tx.rollback().await.unwrap();
    assert!(short[0].turns_at.is_some(), "{short:?}");
    wait(&mut conn, wish(2, job, "job", PRICE)).await;
    // Its own limit has no period: no day brings it anything.
    wait(&mut conn, wish(3, poor, "poor", PRICE)).await;
    assert!(budgets::offer_while_spending(&mut conn).await.unwrap().is_empty(), "there is nothing today");
    fixture::the_day_turns(&mut conn).await;
    assert_eq!(budgets::offer_while_spending(&mut conn).await.unwrap(), [2]);
    assert_eq!(place(&mut conn, wish(2, job, "job", PRICE)).await, Place::Try);
    assert_eq!(buy(&mut conn, 2, job, PRICE).await, Decision::Held);
    assert!(budgets::offer_while_spending(&mut conn).await.unwrap().is_empty(), "this day is used up, too");
}
