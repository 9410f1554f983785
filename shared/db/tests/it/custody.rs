//! Outputs that wait to be fetched are counted by the time they have left; what is lost stays counted.

use crate::fixture;
use serde_json::json;
use spool_db::custody::{self, Standing};
use spool_db::predictions::{self, End, Slot};
use spool_db::scenes;
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

const PRICE: Micros = Micros(400_000);

/// Outputs of this many minutes ago, each of another scene.
async fn left(conn: &mut PgConnection, minutes_ago: &[i64]) -> Vec<Uuid> {
    let campaign = fixture::campaign(conn).await;
    let mut ids = Vec::new();
    for (index, minutes) in minutes_ago.iter().enumerate() {
        let job_id = fixture::job(conn, campaign).await;
        let scene = scenes::list(conn, job_id).await.unwrap()[0].id;
        let slot = Slot { job_id, purpose: Purpose::Render, scene: Some((scene, 1)), ordinal: 0 };
        let (id, empty) = (Uuid::now_v7(), json!({}));
        predictions::intend(conn, &fixture::intent(id, slot, PRICE, &empty)).await.unwrap();
        predictions::submitted(conn, id, &format!("ext{index}"), false).await.unwrap();
        let end = End {
            state: PredictionState::Succeeded,
            output_url: Some("http://cdn/x.mp4"),
            units: None,
            cost: PRICE,
            failure: None,
        };
        predictions::ended(conn, id, &end).await.unwrap();
        let at = now(conn).await - chrono::TimeDelta::minutes(*minutes);
        custody::left(conn, id, Some(at)).await.unwrap();
        ids.push(id);
    }
    ids
}

#[expect(clippy::disallowed_methods, reason = "the database's clock is the one that counts")]
async fn now(conn: &mut PgConnection) -> chrono::DateTime<chrono::Utc> {
    sqlx::query_scalar("SELECT now()").fetch_one(conn).await.unwrap()
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn the_tightest_comes_first_and_a_clock_that_is_ahead_gives_no_time(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    assert_eq!(custody::standing(&mut conn).await.unwrap(), Standing::default());
    let ids = left(&mut conn, &[10, 50, -30]).await;
    let standing = custody::standing(&mut conn).await.unwrap();
    assert_eq!((standing.waiting, standing.lost), (3, 0));
    let tightest = standing.tightest_s.unwrap();
    assert!((540.0..=600.0).contains(&tightest), "fifty minutes of the hour are over: {tightest}");
    let order: Vec<Uuid> =
        custody::list(&mut conn, (10, 0)).await.unwrap().iter().map(|o| o.prediction_id).collect();
    assert_eq!(order, [ids[1], ids[0], ids[2]]);
    let ahead = custody::left_at(&mut conn, ids[2]).await.unwrap().unwrap();
    assert!(ahead <= now(&mut conn).await, "an hour from now at most");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn what_is_lost_is_counted_with_its_price_for_ever(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    // The second one's hour is over for long; the first is gone by its task's word, the third waits.
    let ids = left(&mut conn, &[30, 75, 5]).await;
    custody::lost(&mut conn, ids[0]).await.unwrap();
    let standing = custody::standing(&mut conn).await.unwrap();
    assert_eq!((standing.waiting, standing.lost, standing.lost_cost), (1, 2, Micros(800_000)));
    let lost: Vec<bool> = custody::list(&mut conn, (10, 0)).await.unwrap().iter().map(|o| o.lost).collect();
    assert_eq!(lost, [true, true, false]);
}
