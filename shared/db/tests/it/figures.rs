//! What watchers are shown: times of a job that are ours, sums of what is stored, and who works it all out.

use crate::fixture;
use serde_json::json;
use spool_db::figures::{self, Part};
use spool_db::jobs::{self, Conclusion, Parked};
use spool_db::predictions::{self, Slot};
use spool_db::{job_times, scenes};
use spool_job::money::Micros;
use spool_job::prediction::Purpose;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use uuid::Uuid;

async fn execute(conn: &mut PgConnection, sql: &str) {
    let asked = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(conn).await;
    asked.unwrap_or_else(|error| panic!("{error} in {sql}"));
}

/// Bought for the scene of this index.
async fn submitted(conn: &mut PgConnection, job_id: i64, index: usize, ordinal: i32) -> Uuid {
    let scene = scenes::list(conn, job_id).await.unwrap()[index].id;
    let slot = Slot { job_id, purpose: Purpose::Render, scene: Some((scene, 1)), ordinal };
    let (id, empty) = (Uuid::now_v7(), json!({}));
    predictions::intend(conn, &fixture::intent(id, slot, Micros(400_000), &empty)).await.unwrap();
    predictions::submitted(conn, id, &id.to_string(), false).await.unwrap();
    id
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn what_is_ours_of_a_jobs_time(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let job = fixture::job(&mut conn, campaign).await;
    assert_eq!(job_times::of_job(&mut conn, job).await.unwrap(), None, "it was never approved");
    jobs::approve(&mut conn, job, None).await.unwrap();
    let (first, second) = (submitted(&mut conn, job, 0, 0).await, submitted(&mut conn, job, 1, 0).await);
    let lost = submitted(&mut conn, job, 1, 1).await;
    for parked in [Some(Parked { what: "budget", why: "x".into(), until: None }), None] {
        jobs::park(&mut conn, job, parked.as_ref()).await.unwrap();
    }
    jobs::conclude(&mut conn, job, &Conclusion::Canceled).await.unwrap();
    // Ten minutes: at the provider from 1 to 4 and from 3 to 5, parked from 4.5 to 6 and before the approval; one call was looked for from 8
    // to 9 and was not there.
    execute(
        &mut conn,
        &format!(
            "UPDATE jobs SET finished_at = now(), approved_at = now() - interval '10 minutes', parked_spans = tstzmultirange(
                 tstzrange(now() - interval '20 minutes', now() - interval '15 minutes'),
                 tstzrange(now() - interval '5 minutes 30 seconds', now() - interval '4 minutes')) WHERE id = {job};
             UPDATE predictions SET submitted_at = now() - interval '9 minutes', finished_at = now() - interval '6 minutes' WHERE id = '{first}';
             UPDATE predictions SET submitted_at = now() - interval '7 minutes', finished_at = now() - interval '5 minutes' WHERE id = '{second}';
             UPDATE predictions SET submitted_at = NULL, external_id = NULL, state = 'void', unknown_at = now() - interval '2 minutes',
                 finished_at = now() - interval '1 minute' WHERE id = '{lost}'"
        ),
    )
    .await;
    let times = job_times::of_job(&mut conn, job).await.unwrap().unwrap();
    assert_eq!((times.kind.as_str(), times.took_s, times.own_s), ("image_pairs", 600.0, 240.0));
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn parking_is_noted_whoever_does_it(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let job = fixture::job(&mut conn, campaign).await;
    let parked = |why: &str| Some(Parked { what: "provider", why: why.into(), until: None });
    for change in [parked("one"), parked("two"), None, None, parked("three")] {
        jobs::park(&mut conn, job, change.as_ref()).await.unwrap();
    }
    #[expect(clippy::disallowed_methods, reason = "the test reads what nothing of ours shows")]
    let (spans, open): (i64, bool) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM unnest(parked_spans)), parked_since IS NOT NULL FROM jobs WHERE id = $1",
    )
    .bind(job)
    .fetch_one(&mut *conn)
    .await
    .unwrap();
    assert_eq!((spans, open), (1, true), "one span from the first reason to the end of the second");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn what_is_stored_is_summed_up_as_it_changes(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let media = "INSERT INTO media (digest, bytes, content_type)
                 SELECT encode(sha256(n::text::bytea), 'hex'), n, CASE n % 3 WHEN 0 THEN 'video/mp4' WHEN 1 THEN 'image/png' ELSE 'text/x' END
                 FROM generate_series(1, 30) n ON CONFLICT DO NOTHING";
    let sums = async |conn: &mut PgConnection| {
        let stored = figures::stored(conn).await.unwrap();
        stored.iter().map(|one| format!("{} {} {}", one.kind, one.files, one.bytes)).collect::<Vec<_>>()
    };
    assert_eq!(sums(&mut conn).await, ["audio 0 0", "image 0 0", "other 0 0", "video 0 0"]);
    for _ in 0..2 {
        execute(&mut conn, media).await;
        assert_eq!(sums(&mut conn).await, ["audio 0 0", "image 10 145", "other 10 155", "video 10 165"]);
    }
    execute(&mut conn, "DELETE FROM media WHERE content_type = 'text/x'").await;
    assert_eq!(sums(&mut conn).await, ["audio 0 0", "image 10 145", "other 0 0", "video 10 165"]);
    execute(&mut conn, "SELECT 1 / count(*) FROM media_totals WHERE NOT EXISTS (SELECT FROM media_changes)")
        .await;
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn one_claims_them_and_leaves_them_for_all(pool: PgPool) {
    let (mut one, mut other) = (pool.begin().await.unwrap(), pool.begin().await.unwrap());
    assert_eq!(figures::kept(&mut one, Part::Quick).await.unwrap(), None);
    execute(&mut pool.acquire().await.unwrap(), "INSERT INTO figures (part) VALUES ('quick')").await;
    assert!(figures::kept(&mut one, Part::Quick).await.unwrap().unwrap().age_s.is_infinite());
    assert!(figures::claim(&mut one, Part::Quick, 5.0).await.unwrap());
    assert!(!figures::claim(&mut other, Part::Quick, 5.0).await.unwrap(), "nobody waits for another");
    figures::keep(&mut one, Part::Quick, &json!([1]), 0.25).await.unwrap();
    one.commit().await.unwrap();
    let kept = figures::kept(&mut other, Part::Quick).await.unwrap().unwrap();
    assert_eq!((kept.body, kept.cost_s), (json!([1]), 0.25));
    assert!(kept.age_s < 3600.0, "{}", kept.age_s);
    assert!(!figures::claim(&mut other, Part::Quick, 3600.0).await.unwrap(), "they are young enough");
}
