//! What turns and tokens cost: many in a few statements. Run it with `--nocapture` for the figures.

use crate::fixture;
use spool_db::limits::line::{self, Ask};
use spool_db::limits::reads::{self, Tokens};
use spool_db::limits::standing::{self, Class};
use spool_db::limits::{WHOLE_ACCOUNT, feedback};
use spool_job::money::Micros;
use sqlx::{Connection, PgPool};
use std::time::{Duration, Instant};

const PROVIDER: &str = "replicate";

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_long_line_gets_its_turns_at_once_and_each_is_used_by_itself(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let campaign = fixture::campaign(&mut conn).await;
    let job_id = fixture::job(&mut conn, campaign).await;
    standing::set(&mut conn, PROVIDER, Class::Create, WHOLE_ACCOUNT, Some(600_000), None).await.unwrap();
    feedback::throttled(&mut conn, PROVIDER, Duration::from_millis(1), None).await.unwrap();
    let shares: Vec<String> = (0..20).map(|share| format!("client {share}")).collect();
    let asks: Vec<Ask<'_>> = (0..500)
        .map(|task_id| Ask {
            task_id,
            job_id,
            provider: PROVIDER,
            model: "google/veo-3.1-fast",
            share: shares.get(task_id as usize % 20).map(String::as_str),
            cost: Micros(1),
        })
        .collect();
    // Others hold the line's lock, so these only come to it.
    let mut other = pool.begin().await.unwrap();
    sqlx::query!("SELECT model FROM provider_limits WHERE provider = $1 AND class = 'create' AND model = '*' FOR UPDATE", PROVIDER)
        .fetch_one(&mut *other)
        .await
        .unwrap();
    let begin = Instant::now();
    for ask in &asks {
        assert_eq!(line::join(&mut conn, ask).await.unwrap().turn_in, None);
    }
    let joined = begin.elapsed() / 500;
    other.rollback().await.unwrap();

    let begin = Instant::now();
    let mut tx = conn.begin().await.unwrap();
    let given = line::give_turns(&mut tx, PROVIDER).await.unwrap();
    tx.commit().await.unwrap();
    let gave = begin.elapsed() / 500;
    assert_eq!(given.len(), 500, "all in one round");

    let begin = Instant::now();
    let mut used = 0;
    for ask in &asks {
        used += i32::from(line::take(&mut conn, ask).await.unwrap().is_some());
    }
    let took = begin.elapsed() / 500;
    assert!(used > 0);
    println!("a task joins the line in {joined:?}, gets its turn in {gave:?}, uses it in {took:?}");
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_chunk_of_reads_is_one_update(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    standing::set(&mut conn, PROVIDER, Class::Other, WHOLE_ACCOUNT, Some(6_000_000), None).await.unwrap();
    let (begin, mut tokens) = (Instant::now(), 0);
    for _ in 0..200 {
        let mut tx = conn.begin().await.unwrap();
        if let Tokens::Chunk(chunk) = reads::take(&mut tx, PROVIDER, 64).await.unwrap() {
            tokens += chunk.tokens;
        }
        tx.commit().await.unwrap();
    }
    assert_eq!(tokens, 200 * 64);
    println!("a token of a chunk of 64 costs {:?}", begin.elapsed() / tokens);
}
