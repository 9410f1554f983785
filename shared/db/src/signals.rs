//! Hears which jobs changed. A signal carries no truth: it says where to look again, and one that is missed costs time only.

use crate::error::{DbError, Doing};
use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgNotification};

/// The channel of the trigger on `jobs`; the message is the job's number.
const CHANNEL: &str = "spool_jobs";

/// One connection that listens. Not through a pooler in transaction mode.
#[derive(Debug)]
pub struct JobSignals(PgListener);

impl JobSignals {
    /// Listens from now on.
    pub async fn open(pool: &PgPool) -> Result<Self, DbError> {
        const DOING: &str = "listen for changes of jobs";
        let mut listener = PgListener::connect_with(pool).await.doing(DOING)?;
        listener.listen(CHANNEL).await.doing(DOING)?;
        Ok(Self(listener))
    }

    /// The next job that changed; `None` when the connection was lost, and with it perhaps some. Safe to drop while it waits.
    pub async fn next(&mut self) -> Result<Option<i64>, DbError> {
        loop {
            match self.0.try_recv().await.doing("hear of changes of jobs")? {
                None => return Ok(None),
                Some(signal) => {
                    if let Some(job) = job_of(&signal) {
                        return Ok(Some(job));
                    }
                }
            }
        }
    }

    /// Asks whether the connection is still there. What it returns are the last signals of everything that was committed and told
    /// before the question.
    pub async fn probe(&mut self) -> Result<Vec<i64>, DbError> {
        sqlx::raw_sql("SELECT 1").execute(&mut self.0).await.doing("ask whether the listener still hears")?;
        Ok(std::iter::from_fn(|| self.0.next_buffered()).filter_map(|signal| job_of(&signal)).collect())
    }
}

fn job_of(signal: &PgNotification) -> Option<i64> {
    signal.payload().parse().ok()
}
