//! Circuit breakers: what fails too often is left alone, then tried with one task at a time.
//!
//! The provider's own breaker (`*`) watches whether it can be reached and takes our account; a model's watches whether its calls
//! and its runs go well. Open for a while, then half open: the plan gives one turn, to the cheapest task that waits, and what
//! becomes of it closes the breaker or opens it for twice as long.

use super::plan::{Moment, Turn};
use super::{WHOLE_ACCOUNT, gates, line};
use crate::error::{DbError, Doing};
use sqlx::PgConnection;
use std::time::Duration;

/// Failures of so many seconds count.
const WINDOW_S: f64 = 60.0;
/// Below so many outcomes nothing is said.
const FEWEST: i64 = 5;
/// Share of failures at which it opens, in percent.
const TOO_MANY_PERCENT: i64 = 50;
/// Open for so long at first, and at most.
const FIRST_OPEN_S: i32 = 10;
const LONGEST_OPEN_S: i32 = 60;
/// After this a probe of which nothing was heard counts no more.
const PROBE_CALL_S: f64 = 120.0;
const PROBE_RUN_S: f64 = 900.0;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Calls of the API.
    Call,
    /// Predictions that ran.
    Run,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Run => "run",
        }
    }
}

/// Who or what opened a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Too many calls failed.
    Call,
    /// Too many runs failed.
    Run,
    /// The provider does not take our account: no credit, or a bad token.
    Account,
    /// An operator, who also closes it.
    Operator,
}

impl By {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Run => "run",
            Self::Account => "account",
            Self::Operator => "operator",
        }
    }

    fn parse(word: &str) -> Result<Self, DbError> {
        match word {
            "call" => Ok(Self::Call),
            "run" => Ok(Self::Run),
            "account" => Ok(Self::Account),
            "operator" => Ok(Self::Operator),
            other => Err(DbError::Unreadable { operation: "read a breaker", what: format!("{other:?}") }),
        }
    }

    /// Whether an outcome of this kind shows that what opened it is over, or is not.
    const fn is_about(self, kind: Kind) -> bool {
        matches!((self, kind), (Self::Call | Self::Account, Kind::Call) | (Self::Run, Kind::Run))
    }
}

/// A breaker that is not closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    pub provider: String,
    /// A model, or `*`.
    pub model: String,
    pub by: By,
    pub why: String,
    pub since: Moment,
    /// From then on it is half open. Meaningless for one that an operator opened.
    pub until: Moment,
    pub open_for_s: i32,
    /// A probe is under way, and how long it is waited for: it has a turn, or a prediction in flight. One that came to nothing
    /// (for lack of money, say) is none.
    pub probe: Option<(i64, Moment)>,
}

impl Open {
    /// Nothing may go before.
    pub fn shut_until(&self, now: Moment) -> Moment {
        match (self.by, self.probe) {
            (By::Operator, _) => now + chrono::TimeDelta::days(1),
            (_, Some((_, until))) => self.until.max(until),
            (_, None) => self.until,
        }
    }

    /// `open`, or `half_open` once probes may go.
    pub fn state(&self, now: Moment) -> &'static str {
        if self.by != By::Operator && self.until <= now { "half_open" } else { "open" }
    }
}

/// Whether so many outcomes open a breaker.
fn too_many(ok: i64, failed: i64) -> bool {
    ok + failed >= FEWEST && failed * 100 >= (ok + failed) * TOO_MANY_PERCENT
}

/// How long it stays open the next time.
fn longer(open_for_s: i32) -> i32 {
    (open_for_s * 2).clamp(FIRST_OPEN_S, LONGEST_OPEN_S)
}

/// Breakers that are not closed, of one provider; of all for `None`.
pub async fn open(conn: &mut PgConnection, provider: Option<&str>) -> Result<Vec<Open>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT provider, model, opened_by AS "by!", why AS "why!", opened_at AS "since!", open_until AS "until!", open_for_s,
                  probe_task, probe_until,
                  (probe_until > clock_timestamp()
                   AND (EXISTS (SELECT FROM limit_waits w WHERE w.task_id = probe_task AND w.turn_at IS NOT NULL)
                        OR EXISTS (SELECT FROM predictions p WHERE p.provider = b.provider AND p.task_id = probe_task
                                   AND p.state IN ('intent', 'submitted', 'unknown', 'in_doubt')))) AS "probing"
           FROM breakers b WHERE ($1::text IS NULL OR provider = $1) AND open_until IS NOT NULL ORDER BY provider, model"#,
        provider
    )
    .fetch_all(conn)
    .await
    .doing("read the breakers")?;
    let rows = rows.into_iter().map(|row| {
        Ok(Open {
            by: By::parse(&row.by)?,
            provider: row.provider,
            model: row.model,
            why: row.why,
            since: row.since,
            until: row.until,
            open_for_s: row.open_for_s,
            probe: row.probe_task.zip(row.probe_until).filter(|_| row.probing == Some(true)),
        })
    });
    rows.collect()
}

pub(super) async fn not_closed(conn: &mut PgConnection, provider: &str) -> Result<Vec<Open>, DbError> {
    open(conn, Some(provider)).await
}

/// The task of this turn is the probe.
pub(super) async fn probe(
    conn: &mut PgConnection,
    provider: &str,
    model: &str,
    turn: &Turn,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE breakers SET probe_task = $3,
                probe_until = $4::timestamptz + make_interval(secs => CASE opened_by WHEN 'run' THEN $6::float8 ELSE $5::float8 END)
         WHERE provider = $1 AND model = $2",
        provider,
        model,
        turn.task,
        turn.at,
        PROBE_CALL_S,
        PROBE_RUN_S,
    )
    .execute(conn)
    .await
    .doing("send a probe")?;
    Ok(())
}

/// Something went well; a half-open breaker of these that was about it closes.
pub async fn succeeded(
    conn: &mut PgConnection,
    provider: &str,
    models: &[&str],
    kind: Kind,
) -> Result<(), DbError> {
    count(conn, provider, models, kind, true).await?;
    for open in open(conn, Some(provider)).await? {
        if models.contains(&open.model.as_str()) && open.by.is_about(kind) {
            let closed = sqlx::query!(
                "UPDATE breakers SET open_until = NULL, opened_at = NULL, opened_by = NULL, why = NULL, open_for_s = 0,
                        probe_task = NULL, probe_until = NULL, counts_from = clock_timestamp()
                 WHERE provider = $1 AND model = $2 AND open_until <= clock_timestamp()",
                provider,
                open.model
            )
            .execute(&mut *conn)
            .await
            .doing("close a breaker")?;
            if closed.rows_affected() > 0 {
                tracing::info!(provider, model = open.model, "the breaker closes: it works again");
            }
        }
    }
    Ok(())
}

/// Something failed that speaks against the provider or the model. Says whether the breaker opened.
pub async fn failed(
    conn: &mut PgConnection,
    provider: &str,
    model: &str,
    kind: Kind,
    why: &str,
) -> Result<bool, DbError> {
    gates::lock(conn, provider, true).await?;
    count(conn, provider, &[model], kind, false).await?;
    let now = gates::clock(conn).await?;
    let standing = open(conn, Some(provider)).await?.into_iter().find(|open| open.model == model);
    if let Some(open) = standing {
        if open.by.is_about(kind) && open.state(now) == "half_open" {
            trip(conn, provider, model, open.by, why, longer(open.open_for_s)).await?;
            return Ok(true);
        }
        return Ok(false);
    }
    let row = sqlx::query!(
        r#"SELECT coalesce(sum(o.ok), 0) AS "ok!", coalesce(sum(o.failed), 0) AS "failed!" FROM breaker_outcomes o
           WHERE o.provider = $1 AND o.model = $2 AND o.kind = $3
             AND o.bucket >= greatest(clock_timestamp() - make_interval(secs => $4),
                 coalesce((SELECT b.counts_from FROM breakers b WHERE b.provider = $1 AND b.model = $2), '-infinity'))"#,
        provider,
        model,
        kind.word(),
        WINDOW_S
    )
    .fetch_one(&mut *conn)
    .await
    .doing("count failures")?;
    if !too_many(row.ok, row.failed) {
        return Ok(false);
    }
    let by = if kind == Kind::Call { By::Call } else { By::Run };
    let total = row.ok + row.failed;
    let why = format!("{} of the last {total} {}s failed: {why}", row.failed, kind.word());
    trip(conn, provider, model, by, &why, FIRST_OPEN_S).await?;
    Ok(true)
}

async fn count(
    conn: &mut PgConnection,
    provider: &str,
    models: &[&str],
    kind: Kind,
    ok: bool,
) -> Result<(), DbError> {
    let models: Vec<String> = models.iter().map(|model| (*model).to_owned()).collect();
    sqlx::query!(
        "INSERT INTO breaker_outcomes AS o (provider, model, kind, bucket, ok, failed)
         SELECT $1, m, $3, date_bin('5 seconds', clock_timestamp(), 'epoch'), $4::boolean::integer, (NOT $4::boolean)::integer
         FROM unnest($2::text[]) m ORDER BY m
         ON CONFLICT (provider, model, kind, bucket) DO UPDATE SET ok = o.ok + excluded.ok, failed = o.failed + excluded.failed",
        provider,
        &models,
        kind.word(),
        ok
    )
    .execute(conn)
    .await
    .doing("count an outcome")?;
    Ok(())
}

/// Opens it for so long, whatever was before; turns that were given are taken back. The account's row gets locked.
pub async fn trip(
    conn: &mut PgConnection,
    provider: &str,
    model: &str,
    by: By,
    why: &str,
    open_for_s: i32,
) -> Result<(), DbError> {
    const DOING: &str = "open a breaker";
    gates::lock(conn, provider, true).await?;
    sqlx::query!(
        "INSERT INTO breakers AS b (provider, model, open_until, opened_at, opened_by, why, open_for_s)
         VALUES ($1, $2, clock_timestamp() + make_interval(secs => $5), clock_timestamp(), $3, $4, $6)
         ON CONFLICT (provider, model) DO UPDATE
         SET open_until = excluded.open_until, opened_at = coalesce(b.opened_at, excluded.opened_at), opened_by = excluded.opened_by,
             why = excluded.why, open_for_s = excluded.open_for_s, probe_task = NULL, probe_until = NULL
         WHERE b.opened_by IS DISTINCT FROM 'operator' OR excluded.opened_by = 'operator'",
        provider,
        model,
        by.word(),
        why,
        f64::from(open_for_s),
        open_for_s,
    )
    .execute(&mut *conn)
    .await
    .doing(DOING)?;
    sqlx::query!("DELETE FROM breaker_outcomes WHERE bucket < clock_timestamp() - interval '1 hour'")
        .execute(&mut *conn)
        .await
        .doing(DOING)?;
    tracing::warn!(provider, model, why, seconds = open_for_s, "the breaker opens");
    line::revoke(conn, provider, model).await
}

/// An operator opens it: it stays open until one closes it.
pub async fn hold_open(
    conn: &mut PgConnection,
    provider: &str,
    model: &str,
    why: &str,
) -> Result<(), DbError> {
    trip(conn, provider, model, By::Operator, why, 0).await
}

/// An operator closes it; what was counted before counts no more. Says whether it was open.
pub async fn close(conn: &mut PgConnection, provider: &str, model: &str) -> Result<bool, DbError> {
    gates::lock(conn, provider, true).await?;
    let closed = sqlx::query!(
        "UPDATE breakers SET open_until = NULL, opened_at = NULL, opened_by = NULL, why = NULL, open_for_s = 0,
                probe_task = NULL, probe_until = NULL, counts_from = clock_timestamp()
         WHERE provider = $1 AND model = $2 AND open_until IS NOT NULL",
        provider,
        model
    )
    .execute(conn)
    .await
    .doing("close a breaker")?;
    Ok(closed.rows_affected() > 0)
}

/// The first rest of a breaker that opens for the account's sake: somebody must act, and is not quick.
pub const ACCOUNT_REST: Duration = Duration::from_secs(60);

/// The name of what a breaker stands before, for people.
pub fn name(provider: &str, model: &str) -> String {
    if model == WHOLE_ACCOUNT { provider.to_owned() } else { model.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_at_least_five_open_it() {
        for (ok, failed, opens) in
            [(0, 4, false), (0, 5, true), (5, 4, false), (5, 5, true), (97, 3, false), (0, 0, false)]
        {
            assert_eq!(too_many(ok, failed), opens, "{failed} of {}", ok + failed);
        }
    }

    #[test]
    fn each_probe_that_fails_doubles_the_time_up_to_a_minute() {
        let times: Vec<i32> =
            std::iter::successors(Some(FIRST_OPEN_S), |time| Some(longer(*time))).take(5).collect();
        assert_eq!(times, [10, 20, 40, 60, 60]);
        assert_eq!(longer(0), FIRST_OPEN_S);
    }
}
