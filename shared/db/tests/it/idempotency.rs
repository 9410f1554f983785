//! Idempotency keys: one request at a time, one question per key, one answer.

use spool_db::error::DbError;
use spool_db::idempotency::{self, Entry, Stored, Use};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

fn request(digest: char) -> Use {
    let digest = digest.to_string().repeat(64);
    Use { api_key: "caller".into(), key: "word".into(), request: Uuid::now_v7(), digest }
}

async fn record(conn: &mut PgConnection, this: &Use, answer: Option<&Stored>) -> Result<(), DbError> {
    idempotency::record(conn, this, answer, None).await
}

#[sqlx::test(migrator = "spool_db::schema::MIGRATOR")]
async fn one_request_one_question_one_answer(pool: PgPool) {
    let (first, second, other) = (request('a'), request('a'), request('b'));
    let answer = Stored { status: 201, content_type: None, location: None, body: Some(b"made".to_vec()) };
    let mut one = pool.begin().await.unwrap();
    let mut two = pool.begin().await.unwrap();
    assert_eq!(idempotency::enter(&mut one, &first).await.unwrap(), Entry::Free);
    assert_eq!(idempotency::enter(&mut two, &second).await.unwrap(), Entry::Busy, "it waits for nobody");
    record(&mut one, &first, None).await.unwrap();
    one.commit().await.unwrap();
    // Begun, and not answered yet: only the one that began goes on.
    assert_eq!(idempotency::enter(&mut two, &second).await.unwrap(), Entry::Busy);
    assert_eq!(idempotency::enter(&mut two, &other).await.unwrap(), Entry::Other);
    two.rollback().await.unwrap();
    let mut one = pool.begin().await.unwrap();
    assert_eq!(idempotency::enter(&mut one, &first).await.unwrap(), Entry::Free);
    record(&mut one, &first, Some(&answer)).await.unwrap();
    one.commit().await.unwrap();

    let mut two = pool.begin().await.unwrap();
    assert_eq!(idempotency::enter(&mut two, &second).await.unwrap(), Entry::Answered(answer));
    assert_eq!(idempotency::enter(&mut two, &other).await.unwrap(), Entry::Other);
    assert!(record(&mut two, &second, None).await.is_err(), "an answer is not written over");
}
