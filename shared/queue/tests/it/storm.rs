//! Sixteen processes that do everything at once, some of them killed: no deadlock, no lost task, every result once,
//! no limit passed, no long transaction.
//!
//! It lasts 20 s, so that CI stays short; `SPOOL_STORM_SECONDS=60` makes it a minute. On a machine that is busy with other things it
//! lasts longer, until enough has happened to prove something.

mod act;
mod process;
mod watch;

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use rand::RngExt;
use spool_queue::{
    control,
    limits::{self, Limits},
};
use sqlx::{ConnectOptions, PgPool};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
};

use self::watch::Watch;

const PROCESSES: usize = 16;
const SECONDS: u64 = 20;
const KILL_EVERY: Duration = Duration::from_millis(700);
/// Of the queue `side`, in all processes together; they have slots for many times more.
const MOST_RUNNING: u32 = 8;
/// Who wants many locks at once tries for up to five seconds, and the machine may be busy. What is stuck lasts longer.
const LONGEST_TRANSACTION: f64 = 15.0;
/// A storm in which not everything has happened by then has failed.
const LONGEST: Duration = Duration::from_secs(240);
/// After the storm; it depends on how busy the machine is.
const DRAINED_WITHIN: Duration = Duration::from_secs(180);

/// This very program, told to be one of the processes.
#[expect(clippy::disallowed_methods, reason = "the storm is about real processes")]
fn process(pool: &PgPool) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "storm::process::one_process_of_the_storm", "--nocapture", "--quiet"])
        .env(process::DATABASE, pool.connect_options().to_url_lossy().as_str())
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[sqlx::test(migrator = "spool_queue::MIGRATOR")]
async fn sixteen_processes_do_everything_at_once(pool: PgPool) {
    sqlx::raw_sql(
        "create table storm_task (id bigint not null);
         create table storm_effect (id bigint not null, token bigint not null);
         create table storm_deed (what text not null);
         -- Reports go with the task that made them.
         create function storm_progress() returns trigger language plpgsql as $$
             begin insert into storm_deed values ('progress'); return null; end $$;
         create trigger storm_progress after insert on queue.progress for each row execute function storm_progress()",
    )
    .execute(&pool)
    .await
    .unwrap();
    let limits = Limits { max_running: Some(MOST_RUNNING), fair: true, ..Limits::default() };
    limits::set(&mut pool.acquire().await.unwrap(), "side", &limits).await.unwrap();
    let watch = Watch::over(&pool);
    let seconds = std::env::var("SPOOL_STORM_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let mut processes: Vec<Child> = (0..PROCESSES).map(|_| process(&pool)).collect();
    let since = Instant::now();
    while since.elapsed().as_secs() < seconds || !missing(&pool, &watch).await.is_empty() {
        assert!(since.elapsed() < LONGEST, "not in this storm: {:?}", missing(&pool, &watch).await);
        tokio::time::sleep(KILL_EVERY).await;
        let unlucky = rand::rng().random_range(0..PROCESSES);
        assert_eq!(processes[unlucky].try_wait().unwrap(), None, "a process ended by itself");
        processes[unlucky].kill().await.unwrap();
        processes[unlucky] = process(&pool);
    }
    for process in &mut processes {
        process.stdin.as_mut().unwrap().write_all(b"calm\n").await.unwrap();
    }
    drain(&pool).await;
    for mut process in processes {
        drop(process.stdin.take());
        let status = process.wait().await.unwrap();
        assert!(status.success(), "a process ended with {status}; what it said is above");
    }
    check(&pool).await;
    let seen = watch.seen();
    assert_eq!(seen.running, i64::from(MOST_RUNNING), "running of the queue with a limit");
    assert!(seen.transaction_seconds < LONGEST_TRANSACTION, "a long transaction: {seen:?}");
    println!("the longest of its transactions took {:.1} s", seen.transaction_seconds);
}

async fn drain(pool: &PgPool) {
    let since = Instant::now();
    loop {
        // Somebody who paused a queue may have been killed.
        for queue in ["main", "side"] {
            control::resume(&mut pool.acquire().await.unwrap(), queue).await.unwrap().ring(pool).await;
        }
        let left = number(pool, "select count(*) from queue.task").await;
        if left == 0 {
            return;
        }
        assert!(since.elapsed() < DRAINED_WITHIN, "{left} tasks never ended");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn check(pool: &PgPool) {
    for (what, sql) in [
        ("waits", "select count(*) from queue.edge"),
        ("violations", "select count(*) from queue.violation"),
        ("deadlocks", "select deadlocks from pg_stat_database where datname = current_database()"),
        (
            "tasks without exactly one row in the history",
            "select count(*) from (select id from storm_task s left join (select id, 1 as n from queue.task_history) h using (id)
                                   group by id having count(h.n) <> 1) wrong",
        ),
        (
            "rows in the history that nobody enqueued",
            "select count(*) from queue.task_history h where not exists (select from storm_task s where s.id = h.id)",
        ),
        (
            "accepted results whose effect is not there exactly once",
            "select count(*) from (select h.id from queue.task_history h left join storm_effect e on e.id = h.id and e.token = h.lease_token
                                   where h.state = 5 and h.payload ->> 'do' = 'effect' group by h.id having count(e.id) <> 1) wrong",
        ),
        (
            "effects of runs that were not accepted",
            "select count(*) from storm_effect e where not exists
                 (select from queue.task_history h where h.id = e.id and h.lease_token = e.token and h.state = 5)",
        ),
    ] {
        assert_eq!(number(pool, sql).await, 0, "{what}");
    }
}

/// What has to happen: else it has proved nothing.
async fn missing(pool: &PgPool, watch: &Watch) -> Vec<&'static str> {
    let mut missing = Vec::new();
    for (what, sql) in [
        ("tasks", "select count(*) / 500 from storm_task"),
        ("effects", "select count(*) from storm_effect"),
        ("failures", "select count(*) from queue.task_history where state = 6"),
        ("cancels", "select count(*) from queue.task_history where state = 7"),
        ("parks", "select count(*) from queue.task_history where parks > 0"),
        ("rescues", "select count(*) from queue.run where outcome = 6"),
        (
            "stand-ins",
            "select count(*) from queue.task_history where payload ->> 'do' = 'split' and state = 5",
        ),
        (
            "tasks that ran though some of those that they counted had failed",
            "select count(*) from queue.task_history c where c.need is not null and c.state = 5
                 and exists (select from queue.task_history p where p.id = any(c.parents) and p.state in (6, 7))",
        ),
        ("keys held for a period", "select count(*) from queue.hold where key like 'period %'"),
        ("tasks that were there", "select count(*) from storm_deed where what = 'existing'"),
        ("replacements", "select count(*) from storm_deed where what = 'replace'"),
        ("reported keys", "select count(*) from storm_deed where what = 'report'"),
        ("snoozes", "select count(*) from storm_deed where what = 'snooze'"),
        ("starts at once", "select count(*) from storm_deed where what = 'run now'"),
        ("retries", "select count(*) from storm_deed where what = 'retry'"),
        ("retries by filter", "select count(*) from storm_deed where what = 'retry by filter'"),
        ("reports of progress", "select count(*) from storm_deed where what = 'progress'"),
    ] {
        if number(pool, sql).await == 0 {
            missing.push(what);
        }
    }
    if watch.seen().running < i64::from(MOST_RUNNING) {
        missing.push("a limit that is reached");
    }
    missing
}

async fn number(pool: &PgPool, sql: &'static str) -> i64 {
    use sqlx::Row;
    sqlx::raw_sql(sql).fetch_one(pool).await.unwrap().get(0)
}
