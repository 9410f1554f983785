//! Fires one due schedule: its tasks and the step to its next moment, in one transaction.

use std::{num::NonZeroU16, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};
use sqlx::PgConnection;

use crate::{
    batch::Batch,
    bell::Bell,
    error::EnqueueError,
    metrics,
    schedule::{
        Missed,
        timing::{Due, Timing},
    },
    task::NewTask,
    unique::Unique,
};

/// What became of a turn.
pub(crate) enum Fired {
    /// One schedule was brought up to date; others may be due too.
    One(Bell),
    /// Nothing is due.
    None,
    /// Another process fires.
    NotOurTurn,
}

/// A firing that did not work, and whose: others may.
#[derive(Debug)]
pub(crate) struct NotFired {
    pub(crate) schedule: Option<String>,
    pub(crate) error: sqlx::Error,
}

impl From<sqlx::Error> for NotFired {
    fn from(error: sqlx::Error) -> Self {
        Self { schedule: None, error }
    }
}

/// How long until something is planned; none when nothing is.
pub(crate) async fn next_in(conn: &mut PgConnection) -> Result<Option<Duration>, sqlx::Error> {
    let seconds = sqlx::query_scalar!(
        "select extract(epoch from min(next_at) - now())::float8 from queue.schedule where paused_at is null and isfinite(next_at)"
    )
    .fetch_one(conn)
    .await?;
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)))
}

/// The schedule that is most overdue, but for these names. In a transaction of the caller, who rings after the commit.
pub(crate) async fn fire_one(conn: &mut PgConnection, but: &[String]) -> Result<Fired, NotFired> {
    // Whoever vanishes in the middle keeps the others from it no longer than that.
    let turn = sqlx::query_scalar!(
        r#"select set_config('idle_in_transaction_session_timeout', '10s', true) as "set!" from queue.duty where name = 'schedule' for update skip locked"#
    )
    .fetch_optional(&mut *conn)
    .await?;
    if turn.is_none() {
        return Ok(Fired::NotOurTurn);
    }
    let due = sqlx::query_as!(
        Row,
        r#"select name, cron, zone, every_ms, missed, missed_at_most, overlap, planned_field, kind, queue, version, priority, group_key, share_key,
                  max_attempts, timeout_ms, payload::text as "payload!", next_at as "next_at!", now() as "now!"
           from queue.schedule
           where paused_at is null and next_at <= now() and isfinite(next_at) and name <> all($1::text[])
           order by next_at, name limit 1 for update skip locked"#,
        but
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = due else { return Ok(Fired::None) };
    let name = row.name.clone();
    let bell = fire(conn, row).await.map_err(|error| NotFired { schedule: Some(name), error })?;
    sqlx::query!("update queue.duty set done_at = now() where name = 'schedule'").execute(conn).await?;
    Ok(Fired::One(bell))
}

struct Row {
    name: String,
    cron: Option<String>,
    zone: Option<String>,
    every_ms: Option<i64>,
    missed: i16,
    missed_at_most: i32,
    overlap: bool,
    planned_field: Option<String>,
    kind: String,
    queue: String,
    version: i16,
    priority: i16,
    group_key: Option<String>,
    share_key: Option<String>,
    max_attempts: Option<i16>,
    timeout_ms: Option<i32>,
    payload: String,
    next_at: DateTime<Utc>,
    now: DateTime<Utc>,
}

async fn fire(conn: &mut PgConnection, row: Row) -> Result<Bell, sqlx::Error> {
    let timing = match Timing::parse(row.cron.as_deref(), row.zone.as_deref(), row.every_ms) {
        Ok(timing) => timing,
        Err(error) => return stop(conn, &row.name, &error.to_string()).await,
    };
    let Due { fire, missed, next } = timing.due(row.next_at, row.now, row.missed());
    let mut batch = Batch::new();
    for &planned in &fire {
        batch.add(row.task(planned));
    }
    let made = match batch.insert(conn).await {
        Ok(made) => made,
        Err(EnqueueError::Sql { source, .. }) => return Err(source),
        Err(error) => return stop(conn, &row.name, &error.to_string()).await,
    };
    if missed {
        tracing::warn!(schedule = %row.name, planned_at = %row.next_at, count = fire.len(), "planned moments were missed");
    }
    let new = fire.len() - made.existing.len();
    metrics::schedule_fired(&row.name, new, missed);
    // Passed over, because the last task is still there: that is no firing.
    let last = fire.last().copied().filter(|_| new > 0);
    sqlx::query!(
        "update queue.schedule set next_at = $2, last_at = coalesce($3, last_at), last_task = coalesce($4, last_task) where name = $1",
        row.name,
        next,
        last,
        made.ids.last().map(|id| id.0)
    )
    .execute(conn)
    .await?;
    Ok(made.bell)
}

/// What cannot be fired is not tried for ever, and shown.
async fn stop(conn: &mut PgConnection, name: &str, fault: &str) -> Result<Bell, sqlx::Error> {
    tracing::error!(
        schedule = name,
        error = fault,
        "the schedule cannot be fired and stands still until it is put again"
    );
    sqlx::query!("update queue.schedule set next_at = null, fault = $2 where name = $1", name, fault)
        .execute(conn)
        .await?;
    Ok(Bell::silent())
}

impl Row {
    fn missed(&self) -> Missed {
        let at_most = u16::try_from(self.missed_at_most).ok().and_then(NonZeroU16::new);
        match self.missed {
            0 => Missed::Skip,
            2 => Missed::All { at_most: at_most.unwrap_or(NonZeroU16::MAX) },
            _ => Missed::Once,
        }
    }

    fn task(&self, planned: DateTime<Utc>) -> NewTask {
        let field = self.planned_field.as_deref();
        let payload = field.and_then(|field| with_planned(&self.payload, field, planned));
        let mut task = NewTask::new(&self.kind, &self.queue, self.version, &()).priority(self.priority);
        task.payload = Ok(payload.unwrap_or_else(|| self.payload.clone()));
        task.group_key.clone_from(&self.group_key);
        task.share_key.clone_from(&self.share_key);
        task.max_attempts = self.max_attempts;
        task.timeout = self.timeout_ms.map(|ms| Duration::from_millis(u64::from(ms.unsigned_abs())));
        task.unique(Unique::by_key(if self.overlap {
            format!("schedule {} at {}", self.name, text(planned))
        } else {
            format!("schedule {}", self.name)
        }))
    }
}

fn text(planned: DateTime<Utc>) -> String {
    planned.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// The payload with the planned moment in it; none when it is no object.
pub(crate) fn with_planned(payload: &str, field: &str, planned: DateTime<Utc>) -> Option<String> {
    let mut object: Map<String, Value> = serde_json::from_str(payload).ok()?;
    object.insert(field.to_owned(), Value::String(text(planned)));
    serde_json::to_string(&object).ok()
}
