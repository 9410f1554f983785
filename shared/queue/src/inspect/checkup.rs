//! What an operator wants to know of a queue that may be ill: kinds that nobody can do, and partitions that are missing.

use serde::Serialize;
use sqlx::PgConnection;

use super::sql;
use crate::{
    error::ControlError,
    lack::{NO_HANDLER, NO_VERSION},
};

/// The tasks of one kind in one queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindView {
    /// Where they are.
    pub queue: String,
    /// What they are.
    pub kind: String,
    /// The newest version of their payloads.
    pub version: i16,
    /// How many have not ended.
    pub tasks: i64,
    /// How many of them a worker has put aside because it does not know the kind, or not the version.
    pub strange: i64,
}

/// The kinds of tasks that have not ended. Counts the hot table: not for every request.
///
/// # Errors
/// When the database refuses.
pub async fn kinds(conn: &mut PgConnection) -> Result<Vec<KindView>, ControlError> {
    sqlx::query_as!(
        KindView,
        r#"select queue, kind, max(version) as "version!", count(*) as "tasks!",
                  count(*) filter (where state = 2 and (strpos(why, $1) > 0 or strpos(why, $2) > 0)) as "strange!"
           from queue.task group by queue, kind order by queue, kind"#,
        NO_HANDLER,
        NO_VERSION
    )
    .fetch_all(conn)
    .await
    .map_err(sql("counting the tasks of each kind"))
}

/// How the history is divided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Partitions {
    /// Partitions of this month that are not there.
    pub missing: Vec<String>,
    /// Those of the next month that are not there.
    pub missing_next: Vec<String>,
    /// Days until the next month begins.
    pub days_left: i32,
    /// Rows that fell into a default partition, counted up to a thousand.
    pub stray: i64,
}

/// Looks at the partitions of the history and of the runs.
///
/// # Errors
/// When the database refuses.
pub async fn partitions(conn: &mut PgConnection) -> Result<Partitions, ControlError> {
    const DOING: &str = "looking at the partitions of the history";
    let absent = sqlx::query!(
        r#"select base || '_' || to_char(month, 'YYYY_MM') as "name!", month > now() at time zone 'UTC' as "next!"
           from unnest(array['task_history', 'run']) base,
                generate_series(0, 1) ahead, lateral (select date_trunc('month', now() at time zone 'UTC') + make_interval(months => ahead) as month) m
           where to_regclass('queue.' || base || '_' || to_char(month, 'YYYY_MM')) is null order by 1"#
    )
    .fetch_all(&mut *conn)
    .await
    .map_err(sql(DOING))?;
    let rest = sqlx::query!(
        r#"select (select count(*) from (select from queue.task_history_default limit 1000) h)
                + (select count(*) from (select from queue.run_default limit 1000) r) as "stray!",
                  extract(day from date_trunc('month', now() at time zone 'UTC') + interval '1 month' - (now() at time zone 'UTC'))::integer as "days!""#
    )
    .fetch_one(conn)
    .await
    .map_err(sql(DOING))?;
    let (next, missing): (Vec<_>, Vec<_>) = absent.into_iter().partition(|row| row.next);
    Ok(Partitions {
        missing: missing.into_iter().map(|row| row.name).collect(),
        missing_next: next.into_iter().map(|row| row.name).collect(),
        days_left: rest.days,
        stray: rest.stray,
    })
}
