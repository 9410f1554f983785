//! The cost of an explanation does not grow with the job.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::PgPool;
use tracing::{Event, Metadata, Subscriber, span};

use crate::stage::Stage;

/// Counts the statements of this thread's connections: sqlx reports each of them.
#[derive(Clone, Default)]
struct Statements(Arc<AtomicUsize>);

impl Subscriber for Statements {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

async fn statements_of(pool: PgPool, scenes: usize) -> usize {
    let stage = Stage::pending(pool, scenes, true).await;
    stage.approve().await;
    stage.worker().await;
    let mut conn = stage.conn().await;
    let statements = Statements::default();
    // With a single subscriber anywhere, a test on another thread that has none could switch these events off for all.
    let _second = tracing::Dispatch::new(Statements::default());
    let heard = tracing::subscriber::set_default(statements.clone());
    let found = spool_explain::explain(&mut conn, stage.job, None).await.unwrap().unwrap();
    drop(heard);
    assert_eq!(found.tasks.len(), 2 * scenes + 4);
    statements.0.load(Ordering::Relaxed)
}

#[sqlx::test(migrations = false)]
async fn a_job_of_fifty_scenes_takes_as_many_statements_as_one_of_one(pool: PgPool) {
    assert_eq!(statements_of(pool.clone(), 1).await, 21);
    assert_eq!(statements_of(pool, 50).await, 21);
}
