//! What a worker that has nothing to do asks of its database, with default settings.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use spool_queue::{Done, WorkerBuilder};
use sqlx::{ConnectOptions, PgPool, postgres::PgPoolOptions};
use tracing::{Event, Metadata, Subscriber, span};

use crate::harness::{Other, Running, Step, act, until};

/// Counts the statements that are logged on this thread, where tests run.
struct Statements(Arc<AtomicU64>);

impl Subscriber for Statements {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

const WORKERS: u64 = 8;

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn an_idle_worker_asks_fewer_than_three_times_a_second(pool: PgPool) {
    let statements = Arc::new(AtomicU64::new(0));
    // With a single subscriber anywhere, a test on another thread that has none could switch these events off for all.
    let _second = tracing::Dispatch::new(Statements(Arc::default()));
    let _heard = tracing::subscriber::set_default(Statements(statements.clone()));
    let quiet = pool.connect_options().as_ref().clone().disable_statement_logging();
    let quiet = PgPoolOptions::new().max_connections(1).connect_with(quiet).await.unwrap();
    let mut workers = Vec::new();
    for n in 0..WORKERS {
        let done = || act(|_, _| async { Ok(Done::nothing()) });
        let builder =
            WorkerBuilder::new(format!("w{n}"), pool.clone()).handler(Step(done())).handler(Other(done()));
        workers.push(Running::start(builder).await);
    }
    let beats_after = async |seconds: i32| {
        until("the workers to live on", || async {
            sqlx::query_scalar!(
                r#"select bool_and(beat_at > started_at + make_interval(secs => $1)) as "so!" from queue.worker"#,
                f64::from(seconds)
            )
            .fetch_one(&quiet)
            .await
            .unwrap()
        })
        .await;
    };
    beats_after(4).await;
    let (before, since) = (statements.load(Ordering::SeqCst), Instant::now());
    beats_after(16).await;
    let asked = statements.load(Ordering::SeqCst) - before;
    let each = asked as f64 / since.elapsed().as_secs_f64() / WORKERS as f64;
    println!("{each:.2} statements a second of each idle worker");
    // A machine that is busy makes it fewer, never more.
    assert!(asked > WORKERS && each < 3.0, "{each} statements a second of each idle worker");
    for worker in workers {
        worker.stop().await;
    }
}
