//! Tasks that are enqueued again and again: by the clock of a place, or at an interval.
//!
//! A schedule is a row; every worker fires what is due, one of them at a time. The tasks of a firing and the step to the next planned
//! moment are one transaction, so a crash neither loses nor doubles a firing. Only the database's time decides. A schedule of a kind that
//! no worker knows fires all the same; at least one worker must run.
//!
//! # When clocks are changed
//!
//! - Named hours (`30 2 * * *`, `*/15 2 * * *`, `0 */3 * * *`) are times that the clock of the place shows, each of them once a day. A time
//!   that does not exist because the clock is put forward fires once right after the gap (at 03:00); a time that comes twice fires the first time.
//! - When the hour is `*`, the time that passes counts: `0 * * * *` fires once each hour that passes, so twice at "02:00" in autumn.
//! - Intervals know no clocks.
//!
//! ```
//! # use std::{num::NonZeroU16, time::Duration};
//! # use spool_queue::NewTask;
//! use spool_queue::schedule::{self, Missed, Schedule};
//!
//! # async fn example(conn: &mut sqlx::PgConnection) -> Result<(), spool_queue::ScheduleError> {
//! let report = NewTask::new("report", "light", 1, &serde_json::json!({ "of": "sales" }));
//! // At each start of the program: what is unchanged goes on as it was.
//! schedule::put(conn, Schedule::cron("sales report", "0 7 * * MON-FRI", "Europe/Berlin", report)?.planned_as("planned_at")).await?;
//!
//! let sweep = NewTask::new("sweep", "light", 1, &());
//! schedule::put(conn, Schedule::every("sweep", Duration::from_secs(300), sweep)?.missed(Missed::Skip).no_overlap()).await?;
//! # Ok(())
//! # }
//! ```

mod commands;
mod cron;
mod fire;
mod timing;

use std::{num::NonZeroU16, time::Duration};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{error::ScheduleError, id::TaskId, task::NewTask};
pub use commands::{list, pause, put, remove, resume};
pub(crate) use fire::{Fired, NotFired, fire_one, next_in};
use timing::Timing;

/// What happens when planned moments passed and nobody fired them: no worker ran, or the database was away. One that is fired
/// at most a minute late was not missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// They are passed over.
    Skip,
    /// They are made up for by one task, for the latest of them.
    Once,
    /// Each gets its task, but only the latest so many.
    All {
        /// How many at most.
        at_most: NonZeroU16,
    },
}

/// A task that is to be enqueued again and again. [`put`] makes it so; see the [module](self) for an example.
#[derive(Debug)]
#[must_use = "it does nothing until it is put"]
pub struct Schedule {
    name: String,
    cron: Option<(String, String)>,
    every: Option<Duration>,
    timing: Timing,
    missed: Missed,
    overlap: bool,
    planned_field: Option<String>,
    task: NewTask,
}

impl Schedule {
    /// By a cron expression (minute, hour, day, month, weekday; a sixth field in front is the second, one behind is the year; `L`, `W`, `#`,
    /// names and `@daily` are known) on the clock of an IANA time zone. Day and weekday together mean either.
    ///
    /// # Errors
    /// When the expression or the zone is not understood.
    pub fn cron(
        name: impl Into<String>,
        cron: &str,
        zone: &str,
        task: NewTask,
    ) -> Result<Self, ScheduleError> {
        let timing = Timing::parse(Some(cron), Some(zone), None)?;
        Ok(Self::new(name.into(), timing, Some((cron.to_owned(), zone.to_owned())), None, task))
    }

    /// At an interval, in whole milliseconds; the first time one interval from now. It does not drift.
    ///
    /// # Errors
    /// When the interval is nothing.
    pub fn every(name: impl Into<String>, interval: Duration, task: NewTask) -> Result<Self, ScheduleError> {
        let timing = Timing::Every(timing::every(interval)?);
        Ok(Self::new(name.into(), timing, None, Some(interval), task))
    }

    fn new(
        name: String,
        timing: Timing,
        cron: Option<(String, String)>,
        every: Option<Duration>,
        task: NewTask,
    ) -> Self {
        Self { name, cron, every, timing, missed: Missed::Once, overlap: true, planned_field: None, task }
    }

    /// Instead of [`Missed::Once`].
    pub fn missed(mut self, missed: Missed) -> Self {
        self.missed = missed;
        self
    }

    /// A firing is passed over while the task of an earlier one is in the queue.
    pub fn no_overlap(mut self) -> Self {
        self.overlap = false;
        self
    }

    /// The payload, an object, gets a field of this name with the planned moment (RFC 3339, UTC).
    pub fn planned_as(mut self, field: impl Into<String>) -> Self {
        self.planned_field = Some(field.into());
        self
    }
}

/// What putting a schedule did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// There was none of this name.
    pub created: bool,
    /// The next planned moment.
    pub next_at: Option<DateTime<Utc>>,
}

/// A schedule as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScheduleView {
    /// Its name.
    pub name: String,
    /// The cron expression, if it goes by the clock.
    pub cron: Option<String>,
    /// The time zone of that clock.
    pub zone: Option<String>,
    /// The interval in milliseconds, if it has one.
    pub every_ms: Option<i64>,
    /// The kind of its tasks.
    pub kind: String,
    /// Their queue.
    pub queue: String,
    /// The next planned moment; none when there will be none.
    pub next_at: Option<DateTime<Utc>>,
    /// The planned moment that was fired last.
    pub last_at: Option<DateTime<Utc>>,
    /// The task of that firing.
    pub last_task: Option<TaskId>,
    /// Since when it is paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// Why it does not fire any more: what stands in its row is not understood by the program that ran last.
    pub fault: Option<String>,
}
