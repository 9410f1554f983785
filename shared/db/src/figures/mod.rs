//! Figures for whoever watches the fleet: what each of them costs depends on what is under way, never on what has ended. One process
//! works them out and leaves them in a row for all others (see docs/adr/0014).

mod money;
mod postgres;
mod purchases;
mod storage;
mod work;

pub use money::{Everything, Money, Tightest, money};
pub use postgres::{Pinned, Postgres, Table, postgres, tables};
pub use purchases::{Purchases, purchases};
pub use storage::{Stored, stored};
pub use work::{OpenBreaker, Work, work};

use crate::error::{DbError, Doing};
use serde_json::Value;
use sqlx::PgConnection;

/// Figures that are worked out together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What alerts look at: a few seconds old at most.
    Quick,
    /// What takes longer and changes slowly.
    Thorough,
}

impl Part {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Quick, Self::Thorough];

    /// The word for it in the database and in labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Thorough => "thorough",
        }
    }
}

/// Figures as somebody left them.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// What they are.
    pub body: Value,
    /// Seconds since they were worked out; infinite for none.
    pub age_s: f64,
    /// Seconds that it took.
    pub cost_s: f64,
}

/// The figures that are there.
pub async fn kept(conn: &mut PgConnection, part: Part) -> Result<Option<Kept>, DbError> {
    let row = sqlx::query!(
        r#"SELECT body, COALESCE(extract(epoch FROM clock_timestamp() - nullif(at, '-infinity')), 'infinity')::float8 AS "age_s!",
                  cost_ms / 1000 AS "cost_s!"
           FROM figures WHERE part = $1"#,
        part.as_str()
    )
    .fetch_optional(conn)
    .await
    .doing("read the figures")?;
    Ok(row.map(|row| Kept { body: row.body, age_s: row.age_s, cost_s: row.cost_s }))
}

/// Whether the caller is to work them out: they are older than this, and nobody else is at it. The row stays locked until the end of the
/// transaction, in which no statement may take longer than two seconds from here on.
pub async fn claim(conn: &mut PgConnection, part: Part, older_than_s: f64) -> Result<bool, DbError> {
    const DOING: &str = "claim the figures";
    sqlx::query!("INSERT INTO figures (part) VALUES ($1) ON CONFLICT DO NOTHING", part.as_str())
        .execute(&mut *conn)
        .await
        .doing(DOING)?;
    let mine = sqlx::query_scalar!(
        r#"SELECT set_config('statement_timeout', '2s', true) FROM
               (SELECT part FROM figures WHERE part = $1 AND at < clock_timestamp() - make_interval(secs => $2) FOR UPDATE SKIP LOCKED) mine"#,
        part.as_str(),
        older_than_s
    )
    .fetch_optional(conn)
    .await
    .doing(DOING)?;
    Ok(mine.is_some())
}

/// Leaves them for the others. The caller has claimed them.
pub async fn keep(conn: &mut PgConnection, part: Part, body: &Value, cost_s: f64) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE figures SET at = clock_timestamp(), body = $2, cost_ms = $3 WHERE part = $1",
        part.as_str(),
        body,
        cost_s * 1000.0
    )
    .execute(conn)
    .await
    .doing("keep the figures")?;
    Ok(())
}
