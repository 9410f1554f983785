//! Migrations go up and down.

use spool_db::schema::{MIGRATOR, pending_migrations};
use sqlx::PgPool;

#[sqlx::test(migrations = false)]
async fn up_down_and_up_again(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    assert!(!pending_migrations(&mut conn).await.unwrap().is_empty());
    MIGRATOR.run(&pool).await.unwrap();
    assert_eq!(pending_migrations(&mut conn).await.unwrap(), Vec::<i64>::new());
    MIGRATOR.undo(&pool, 0).await.unwrap();
    MIGRATOR.run(&pool).await.unwrap();
}
