//! The waste ledger: each settled amount is in exactly one class, by what became of it.

use crate::purchases::{a_job, bought, buy, end, music};
use spool_db::jobs::{self, Conclusion};
use spool_db::predictions::Slot;
use spool_db::storyboard::SceneEdit;
use spool_db::{custody, revisions, scenes, spend, waste, waste_hours};
use spool_job::money::Micros;
use spool_job::prediction::{PredictionState, Purpose};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

async fn class_of(conn: &mut PgConnection, id: Uuid) -> String {
    sqlx::query_scalar!(r#"SELECT class AS "class!" FROM spend_classes WHERE prediction_id = $1"#, id)
        .fetch_one(conn)
        .await
        .unwrap()
}

/// The classes with money in them; they must add up to what was settled.
async fn classes(conn: &mut PgConnection) -> Vec<(&'static str, i64)> {
    let span = spend::span(conn, None, None).await.unwrap();
    let found = waste::of_span(conn, &span).await.unwrap();
    let settled = sqlx::query_scalar!(
        r#"SELECT COALESCE(sum(micros), 0)::bigint AS "settled!" FROM ledger WHERE kind = 'settle'"#
    )
    .fetch_one(&mut *conn)
    .await
    .unwrap();
    assert_eq!(found.iter().map(|class| class.settled.0).sum::<i64>(), settled);
    let of_today = found.iter().map(|class| (class.class, Micros(class.settled.0 + class.beside_ledger.0)));
    assert_eq!(
        waste_hours::of_last_day(conn).await.unwrap(),
        of_today.collect::<Vec<_>>(),
        "all of it is of today"
    );
    assert_eq!(found.iter().map(|class| class.class).collect::<Vec<_>>(), waste::CLASSES);
    found
        .into_iter()
        .filter(|class| class.purchases > 0)
        .map(|class| (class.class, class.settled.0))
        .collect()
}

/// So that a test can plant what must never happen: two purchases that fill one place.
async fn unguarded(conn: &mut PgConnection) {
    sqlx::raw_sql("DROP INDEX predictions_live").execute(conn).await.unwrap();
}

fn failed() -> Conclusion {
    Conclusion::Failed { code: "x".into(), error: "x".into() }
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn each_class_by_what_became_of_the_purchase(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    unguarded(&mut conn).await;
    let job = a_job(&mut conn).await;
    bought(&mut conn, music(job, 0), 1, 0).await;
    let broken = buy(&mut conn, music(job, 1), 10, 1).await;
    end(&mut conn, broken, PredictionState::Failed, 10).await;
    let late = buy(&mut conn, music(job, 2), 100, 2).await;
    end(&mut conn, late, PredictionState::Canceled, 100).await;
    // Stretch 0 once more; a seed of ours makes the input another one.
    let again = bought(&mut conn, music(job, 0), 1_000, 3).await;
    // Nothing was charged: it is in no class.
    let free = buy(&mut conn, music(job, 4), 5, 4).await;
    end(&mut conn, free, PredictionState::Failed, 0).await;
    let scene = scenes::list(&mut conn, job).await.unwrap()[0].id;
    let slot = Slot { job_id: job, purpose: Purpose::Render, scene: Some((scene, 1)), ordinal: 0 };
    let clip = bought(&mut conn, slot, 10_000, 5).await;
    assert_eq!(class_of(&mut conn, clip).await, "useful");
    sqlx::query!("UPDATE scenes SET version = 2 WHERE id = $1", scene).execute(&mut *conn).await.unwrap();
    assert_eq!(class_of(&mut conn, clip).await, "orphaned", "its scene wants something else now");
    assert_eq!(class_of(&mut conn, again).await, "duplicate");
    let wanted =
        [("useful", 1), ("duplicate", 1_000), ("orphaned", 10_000), ("late_cancelled", 100), ("failed", 10)];
    assert_eq!(classes(&mut conn).await, wanted);
    // The same input for another stretch or another job is another purchase.
    let other = a_job(&mut conn).await;
    for place in [music(other, 0), music(other, 1)] {
        let elsewhere = bought(&mut conn, place, 2, 0).await;
        assert_eq!(class_of(&mut conn, elsewhere).await, "useful");
    }
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_clip_that_was_ordered_again_is_no_duplicate(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    jobs::approve(&mut conn, job, None).await.unwrap();
    let scene = scenes::list(&mut conn, job).await.unwrap()[0].id;
    let of_version =
        |version| Slot { job_id: job, purpose: Purpose::Render, scene: Some((scene, version)), ordinal: 0 };
    let first = bought(&mut conn, of_version(1), 1, 0).await;
    jobs::conclude(&mut conn, job, &failed()).await.unwrap();
    revisions::regenerate(&mut conn, job, None, scene, &SceneEdit::default()).await.unwrap();
    let version = scenes::list(&mut conn, job).await.unwrap()[0].version;
    assert_eq!(version, 2);
    let anew = bought(&mut conn, of_version(version), 10, 0).await;
    assert_eq!(class_of(&mut conn, anew).await, "useful", "the same input, as somebody wished");
    assert_eq!(class_of(&mut conn, first).await, "orphaned");
    // A worker that died is followed by one that does not know what it had bought.
    unguarded(&mut conn).await;
    bought(&mut conn, of_version(version), 100, 0).await;
    assert_eq!(classes(&mut conn).await, [("useful", 10), ("duplicate", 100), ("orphaned", 1)]);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn what_a_job_bought_shares_its_fate(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    let (stored, lost) =
        (bought(&mut conn, music(job, 0), 1, 0).await, bought(&mut conn, music(job, 1), 10, 1).await);
    let digest = "a".repeat(64);
    sqlx::query!("INSERT INTO media (digest, bytes, content_type) VALUES ($1, 1, 'audio/mpeg')", digest)
        .execute(&mut *conn)
        .await
        .unwrap();
    sqlx::query!("UPDATE predictions SET output_digest = $2 WHERE id = $1", stored, digest)
        .execute(&mut *conn)
        .await
        .unwrap();
    assert_eq!(classes(&mut conn).await, [("useful", 11)], "it may still come home");
    jobs::conclude(&mut conn, job, &failed()).await.unwrap();
    assert_eq!(class_of(&mut conn, lost).await, "orphaned", "paid but lost");
    assert_eq!(classes(&mut conn).await, [("orphaned", 10), ("failed", 1)]);
    // A retry makes a video of it after all.
    sqlx::query!("UPDATE jobs SET state = 'approved', finished_at = NULL WHERE id = $1", job)
        .execute(&mut *conn)
        .await
        .unwrap();
    assert_eq!(classes(&mut conn).await, [("useful", 11)]);
    jobs::conclude(&mut conn, job, &Conclusion::Canceled).await.unwrap();
    assert_eq!(classes(&mut conn).await, [("late_cancelled", 11)]);
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn what_replaces_a_lost_output_is_no_duplicate(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    let lost = bought(&mut conn, music(job, 0), 1, 0).await;
    custody::lost(&mut conn, lost).await.unwrap();
    let again = bought(&mut conn, music(job, 0), 1, 1).await;
    assert_eq!(class_of(&mut conn, again).await, "useful");
}

/// How often to look until every hour was looked at again.
const ROUND: usize = 22;

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn an_older_hour_is_kept_and_looked_at_again_in_turn(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let job = a_job(&mut conn).await;
    let old = bought(&mut conn, music(job, 0), 7, 0).await;
    let gone = bought(&mut conn, music(job, 1), 50, 1).await;
    for (id, hours) in [(old, 5), (gone, 25)] {
        sqlx::query!(
            "UPDATE ledger SET at = at - make_interval(hours => $2) WHERE prediction_id = $1",
            id,
            hours
        )
        .execute(&mut *conn)
        .await
        .unwrap();
    }
    let useful = async |conn: &mut PgConnection| {
        let found = waste_hours::of_last_day(conn).await.unwrap();
        found.into_iter().find(|(class, _)| *class == waste::USEFUL).unwrap().1
    };
    assert_eq!(useful(&mut conn).await, Micros(7), "the first look sees all hours of a day, and none before");
    sqlx::query!("UPDATE ledger SET micros = 9 WHERE prediction_id = $1 AND kind = 'settle'", old)
        .execute(&mut *conn)
        .await
        .unwrap();
    let mut seen = Vec::new();
    for _ in 0..ROUND {
        seen.push(useful(&mut conn).await);
    }
    assert_eq!((seen[0], seen[ROUND - 1]), (Micros(7), Micros(9)), "{seen:?}");
    bought(&mut conn, music(job, 2), 100, 2).await;
    assert_eq!(useful(&mut conn).await, Micros(109), "this hour is looked at each time");
}
