//! Tokens of the reads: their stretches of time keep the account's rate.

use spool_db::limits::reads::{self, Tokens};
use spool_db::limits::standing::{self, Class};
use spool_db::limits::{self, WHOLE_ACCOUNT, feedback};
use sqlx::PgPool;
use std::time::Duration;

const PROVIDER: &str = "replicate";

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn chunks_of_reads_do_not_overlap(pool: PgPool) {
    let takers: Vec<_> = (0..8)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut tx = pool.begin().await.unwrap();
                let tokens = reads::take(&mut tx, PROVIDER, 10).await.unwrap();
                let now = limits::now(&mut tx).await.unwrap();
                tx.commit().await.unwrap();
                (now, tokens)
            })
        })
        .collect();
    let (mut begins, mut refused) = (Vec::new(), 0);
    for taker in takers {
        match taker.await.unwrap() {
            (now, Tokens::Chunk(chunk)) => begins.push(now + chunk.starts_in),
            (_, Tokens::Later(_)) => refused += 1,
            (_, Tokens::Unlimited) => panic!("3000 a minute"),
        }
    }
    begins.sort_unstable();
    // 3000 a minute: ten take 0.2 s. The first may begin a little early, and clocks are read a little later than chunks are cut.
    let whole = *begins.last().unwrap() - begins[0];
    let least = chrono::TimeDelta::milliseconds(200 * (begins.len() as i64 - 1) - 250 - 50);
    assert!(whole >= least, "{} chunks begin within {whole}", begins.len());
    assert!(refused > 0 || begins.len() == 8);
    let mut conn = pool.acquire().await.unwrap();
    feedback::reads_throttled(&mut conn, PROVIDER, Duration::from_secs(30)).await.unwrap();
    assert!(
        matches!(reads::take(&mut conn, PROVIDER, 1).await.unwrap(), Tokens::Later(rest) if rest > Duration::from_secs(20))
    );
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn a_chunk_is_a_second_at_most_and_who_went_without_a_token_is_waited_for(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    standing::set(&mut conn, PROVIDER, Class::Other, WHOLE_ACCOUNT, Some(600), None).await.unwrap();
    let Tokens::Chunk(chunk) = reads::take(&mut conn, PROVIDER, 64).await.unwrap() else {
        panic!("600 a minute")
    };
    assert_eq!(chunk.tokens, 9, "of 102.6 ms each");
    for _ in 0..100 {
        reads::owe(&mut conn, PROVIDER).await.unwrap();
    }
    let later = reads::take(&mut conn, PROVIDER, 1).await.unwrap();
    // Ten seconds of debt, nine tokens, and nobody comes earlier than a second before.
    assert!(matches!(later, Tokens::Later(rest) if rest > Duration::from_secs(8)), "{later:?}");
}
