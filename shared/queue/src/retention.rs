//! What is forgotten, and when: old partitions, keys whose period is over, workers that are long dead.

use std::time::Duration;

use sqlx::{PgConnection, postgres::types::PgInterval};

/// Rows of each kind in one statement.
const LARGEST: i64 = 5000;
/// Postgres knows no interval that would lead before its first timestamp.
const LONGEST: Duration = Duration::from_secs(1000 * 366 * 86_400);
/// `lock_not_available`.
const BUSY: &str = "55P03";

/// Somebody used the table that was to be changed. Trying again later helps.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some(BUSY))
}

pub(crate) fn interval(retention: Duration) -> PgInterval {
    let retention = retention.min(LONGEST);
    PgInterval { months: 0, days: 0, microseconds: i64::try_from(retention.as_micros()).unwrap_or(i64::MAX) }
}

/// Partitions that are older than the retention as a whole, the oldest first.
pub(crate) async fn old_partitions(
    conn: &mut PgConnection,
    retention: &PgInterval,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(r#"select queue.old_partitions($1) as "name!""#, retention).fetch_all(conn).await
}

/// Drops one of them. False: somebody else did.
pub(crate) async fn drop_old(
    conn: &mut PgConnection,
    partition: &str,
    retention: &PgInterval,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"select queue.drop_old($1, $2) as "done!""#, partition, retention)
        .fetch_one(conn)
        .await
}

/// Deletes what is not in a partition of its own. True: there may be more.
pub(crate) async fn sweep(conn: &mut PgConnection, retention: &PgInterval) -> Result<bool, sqlx::Error> {
    // Keys get an hour more: whoever takes one over at this moment makes its end later than that, which is seen when its row is locked here.
    // What dead tasks had they may want again.
    let swept = sqlx::query_scalar!(
        r#"with keys as (
               delete from queue.hold h using (
                   select kind, key from queue.hold o
                   where until < now() - interval '1 hour' and not exists (select from queue.task t where t.id = o.task_id)
                   limit $1 for update skip locked) old
               where h.kind = old.kind and h.key = old.key returning h.task_id, h.kind, h.key, h.span, h.until),
           former as (
               insert into queue.former_key (task_id, kind, key, span, until)
               select k.task_id, k.kind, k.key, k.span, k.until from keys k
               where exists (select from queue.task_history d where d.id = k.task_id and d.state in (6, 7))
               on conflict do nothing),
           -- Rows that came when nobody had made their partition.
           histories as (
               delete from queue.task_history_default
               where ctid = any(array(select ctid from queue.task_history_default where finished_at < now() - $2::interval limit $1)) returning 1),
           runs as (
               delete from queue.run_default
               where ctid = any(array(select ctid from queue.run_default where ended_at < now() - $2::interval limit $1)) returning 1),
           workers as (
               delete from queue.worker w
               where dead_at < now() - interval '30 days' and not exists (select from queue.task t where t.worker_id = w.id) returning 1)
           select greatest((select count(*) from keys), (select count(*) from histories), (select count(*) from runs)) + 0 * (select count(*) from workers) as "most!""#,
        LARGEST,
        retention
    )
    .fetch_one(conn)
    .await?;
    Ok(swept >= LARGEST)
}

/// Forgets the former keys of tasks that have succeeded or are forgotten themselves.
pub(crate) async fn sweep_former_keys(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from queue.former_key f
         where not exists (select from queue.task t where t.id = f.task_id)
           and not exists (select from queue.task_history d where d.id = f.task_id and d.state in (6, 7))"
    )
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_ever_is_an_interval_too() {
        assert_eq!(interval(Duration::from_secs(1)).microseconds, 1_000_000);
        assert_eq!(interval(Duration::MAX), interval(LONGEST));
    }
}
