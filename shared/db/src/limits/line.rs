//! The line before a provider's paid calls: who has a turn, who waits for one, and giving turns.

use super::plan::{Moment, State, Turn, Waiting, plan};
use super::{LATEST, TOLERANCE, WHOLE_ACCOUNT, breaker, gates};
use crate::error::{DbError, Doing};
use chrono::TimeDelta;
use spool_job::money::Micros;
use sqlx::PgConnection;
use std::time::Duration;

/// Turns are given for so long ahead.
const HORIZON: TimeDelta = TimeDelta::seconds(3);
/// Turns given at once.
const MOST_TURNS: usize = 500;
/// A task that misses so many turns in a row is gone.
const MOST_MISSED: i32 = 3;

/// A task that wants to make a paid call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask<'a> {
    pub task_id: i64,
    pub job_id: i64,
    pub provider: &'a str,
    pub model: &'a str,
    /// Whose work it is.
    pub share: Option<&'a str>,
    /// What it will cost: the cheapest is the probe of a breaker.
    pub cost: Micros,
}

/// Where a task stands before it has tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It has a turn now, or nobody waits before it: it may try.
    Try,
    /// Its turn comes in so long.
    TurnIn(Duration),
    /// It is in the line, or others are, or the account's next call is not due: it has no chance yet.
    Behind,
}

/// What became of a task that went to the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Its turn comes in so long; none was given yet.
    pub turn_in: Option<Duration>,
    /// Other tasks that were given turns: each is to be put off until its own.
    pub given: Vec<Turn>,
}

/// Looks, without a lock.
pub async fn place(conn: &mut PgConnection, ask: &Ask<'_>) -> Result<Place, DbError> {
    let row = sqlx::query!(
        r#"SELECT (SELECT extract(epoch FROM w.turn_at - clock_timestamp())::float8 FROM limit_waits w
                   WHERE w.task_id = $1 AND w.turn_ends >= clock_timestamp()) AS turn_in_s,
                  EXISTS (SELECT FROM limit_waits w WHERE w.task_id = $1) AS "here!",
                  EXISTS (SELECT FROM limit_waits w WHERE w.provider = $2 AND w.model = $3 AND w.turn_at IS NULL)
                  -- A try would be in vain, and keep the money and the account locked while it fails.
                  OR EXISTS (SELECT FROM provider_limits l WHERE l.provider = $2 AND l.class = 'create' AND l.model = '*'
                             AND l.next_at > clock_timestamp() + make_interval(secs => $4)) AS "others!""#,
        ask.task_id,
        ask.provider,
        ask.model,
        TOLERANCE.as_secs_f64(),
    )
    .fetch_one(conn)
    .await
    .doing("look at the line")?;
    Ok(match row.turn_in_s {
        Some(wait) if wait > 0.0 => Place::TurnIn(Duration::from_secs_f64(wait)),
        None if row.here || row.others => Place::Behind,
        Some(_) | None => Place::Try,
    })
}

/// Uses the task's turn, or takes one on the spot where nobody comes before it; to be called in the transaction that writes the
/// intent, which must be rolled back when there is none. Returns how long it has waited.
pub async fn take(conn: &mut PgConnection, ask: &Ask<'_>) -> Result<Option<Duration>, DbError> {
    const DOING: &str = "take a turn";
    // Before its own row, as whoever gives turns locks the two.
    let spaced = sqlx::query_scalar!(
        "SELECT gap_ms FROM provider_limits WHERE provider = $1 AND class = 'create' AND model = '*' AND gap_ms > 0 FOR UPDATE",
        ask.provider
    );
    let spaced = spaced.fetch_optional(&mut *conn).await.doing(DOING)?.is_some();
    let used = sqlx::query_scalar!(
        r#"DELETE FROM limit_waits
           WHERE task_id = $1 AND turn_at <= clock_timestamp() AND turn_ends >= clock_timestamp()
           RETURNING extract(epoch FROM clock_timestamp() - since)::float8 AS "waited!""#,
        ask.task_id
    )
    .fetch_optional(&mut *conn)
    .await
    .doing(DOING)?;
    if let Some(waited) = used {
        if spaced {
            space(conn, ask.provider).await?;
        }
        return Ok(Some(Duration::from_secs_f64(waited.max(0.0))));
    }
    gates::lock(conn, ask.provider, true).await?;
    let now = gates::clock(conn).await?;
    let before = gates::state(conn, ask.provider, now).await?;
    let most = most_turns(conn, ask.provider, &before).await?;
    if before.account.earliest(now) > now || before.account.room <= 0 || most == 0 {
        return Ok(None);
    }
    let mut line = waiting(conn, ask.provider, 1).await?;
    let since = sqlx::query_scalar!("SELECT since FROM limit_waits WHERE task_id = $1", ask.task_id)
        .fetch_optional(&mut *conn)
        .await
        .doing(DOING)?;
    line.retain(|one| one.task != ask.task_id);
    line.push(Waiting {
        task: ask.task_id,
        share: ask.share.unwrap_or_default().to_owned(),
        model: ask.model.to_owned(),
        since: since.unwrap_or(now),
        cost: ask.cost.0,
    });
    let mut after = before.clone();
    let turns = plan(&mut after, &line, now, now, 1);
    if turns.first().is_none_or(|turn| turn.task != ask.task_id) {
        return Ok(None);
    }
    book(conn, ask.provider, &before, &after, &turns).await?;
    sqlx::query!("DELETE FROM limit_waits WHERE task_id = $1", ask.task_id)
        .execute(conn)
        .await
        .doing(DOING)?;
    Ok(Some(since.and_then(|since| (now - since).to_std().ok()).unwrap_or_default()))
}

/// Goes to the line, or stays there and keeps the place; then gives turns, if nobody else does so at this moment. The task must be
/// parked in the same transaction.
pub async fn join(conn: &mut PgConnection, ask: &Ask<'_>) -> Result<Joined, DbError> {
    const DOING: &str = "wait for a turn";
    let held = gates::lock(conn, ask.provider, false).await?;
    sqlx::query!(
        "INSERT INTO limit_waits AS w (task_id, job_id, provider, model, share, cost_micros, since)
         VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp())
         ON CONFLICT (task_id) DO UPDATE
         SET missed = 0, provider = excluded.provider, model = excluded.model, share = excluded.share, cost_micros = excluded.cost_micros,
             turn_at = CASE WHEN w.turn_ends >= clock_timestamp() THEN w.turn_at END,
             turn_ends = CASE WHEN w.turn_ends >= clock_timestamp() THEN w.turn_ends END",
        ask.task_id,
        ask.job_id,
        ask.provider,
        ask.model,
        ask.share.unwrap_or_default(),
        ask.cost.0,
    )
    .execute(&mut *conn)
    .await
    .doing(DOING)?;
    let mut given = if held { give(conn, ask.provider).await? } else { Vec::new() };
    given.retain(|turn| turn.task != ask.task_id);
    let turn_in = sqlx::query_scalar!(
        r#"SELECT extract(epoch FROM turn_at - clock_timestamp())::float8 AS "turn_in!" FROM limit_waits
           WHERE task_id = $1 AND turn_at IS NOT NULL"#,
        ask.task_id
    )
    .fetch_optional(conn)
    .await
    .doing(DOING)?;
    Ok(Joined { turn_in: turn_in.map(|wait| Duration::from_secs_f64(wait.max(0.0))), given })
}

/// Gives turns to those who wait, unless somebody else does so at this moment. The caller puts each task off until its turn.
pub async fn give_turns(conn: &mut PgConnection, provider: &str) -> Result<Vec<Turn>, DbError> {
    if !gates::lock(conn, provider, false).await? {
        return Ok(Vec::new());
    }
    give(conn, provider).await
}

async fn give(conn: &mut PgConnection, provider: &str) -> Result<Vec<Turn>, DbError> {
    const DOING: &str = "give turns";
    // Waits for whoever uses a turn at its last moment, and so sees what became of it.
    sqlx::query!(
        "WITH gone AS (DELETE FROM limit_waits WHERE provider = $1 AND turn_ends < clock_timestamp() AND missed + 1 >= $2)
         UPDATE limit_waits SET turn_at = NULL, turn_ends = NULL, missed = missed + 1
         WHERE provider = $1 AND turn_ends < clock_timestamp() AND missed + 1 < $2",
        provider,
        MOST_MISSED
    )
    .execute(&mut *conn)
    .await
    .doing(DOING)?;
    let now = gates::clock(conn).await?;
    let before = gates::state(conn, provider, now).await?;
    let horizon = now + HORIZON;
    let most = most_turns(conn, provider, &before).await?;
    if before.account.earliest(now) > horizon || before.account.room <= 0 || most == 0 {
        return Ok(Vec::new());
    }
    let line = waiting(conn, provider, MOST_TURNS as i64).await?;
    let mut after = before.clone();
    let turns = plan(&mut after, &line, now, horizon, most);
    if turns.is_empty() {
        return Ok(turns);
    }
    book(conn, provider, &before, &after, &turns).await?;
    let (tasks, at): (Vec<i64>, Vec<Moment>) = turns.iter().map(|turn| (turn.task, turn.at)).unzip();
    sqlx::query!(
        "UPDATE limit_waits w SET turn_at = t.at, turn_ends = t.at + make_interval(secs => $3)
         FROM unnest($1::bigint[], $2::timestamptz[]) AS t (task, at) WHERE w.task_id = t.task",
        &tasks,
        &at,
        LATEST.as_secs_f64()
    )
    .execute(conn)
    .await
    .doing(DOING)?;
    Ok(turns)
}

/// How many turns may be given now. Where a gap between starts rules, one after the other: a turn may be used late, and the next one
/// is reckoned from that.
async fn most_turns(conn: &mut PgConnection, provider: &str, state: &State) -> Result<usize, DbError> {
    let account = &state.account;
    if account.step.is_none() || !account.tolerance.is_zero() {
        return Ok(MOST_TURNS);
    }
    let given = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM limit_waits WHERE provider = $1 AND turn_at IS NOT NULL) AS "given!""#,
        provider
    );
    Ok(usize::from(!given.fetch_one(conn).await.doing("look for given turns")?))
}

/// A turn was used at this moment: the next start is the gap of the settings later.
async fn space(conn: &mut PgConnection, provider: &str) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE provider_limits SET next_at = greatest(next_at, clock_timestamp() + gap_ms * interval '1 millisecond')
         WHERE provider = $1 AND class = 'create' AND model = '*'",
        provider
    )
    .execute(conn)
    .await
    .doing("keep the gap between starts")?;
    Ok(())
}

async fn book(
    conn: &mut PgConnection,
    provider: &str,
    before: &State,
    after: &State,
    turns: &[Turn],
) -> Result<(), DbError> {
    gates::save(conn, provider, before, after).await?;
    for turn in turns {
        if before.account.probing {
            breaker::probe(conn, provider, WHOLE_ACCOUNT, turn).await?;
        }
        if before.models.get(&turn.model).is_some_and(|gate| gate.probing) {
            breaker::probe(conn, provider, &turn.model, turn).await?;
        }
    }
    Ok(())
}

/// The first of each share and model, and the cheapest of each model. Who missed a turn waits too.
async fn waiting(conn: &mut PgConnection, provider: &str, most: i64) -> Result<Vec<Waiting>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT task_id AS "task_id!", share AS "share!", model AS "model!", since AS "since!", cost_micros AS "cost_micros!" FROM (
               SELECT *, row_number() OVER (PARTITION BY share, model ORDER BY since, task_id) AS place,
                      row_number() OVER (PARTITION BY model ORDER BY cost_micros, since, task_id) AS dearness
               FROM limit_waits WHERE provider = $1 AND (turn_at IS NULL OR turn_ends < clock_timestamp())) line
           WHERE place <= $2 OR dearness = 1"#,
        provider,
        most
    )
    .fetch_all(conn)
    .await
    .doing("read the line")?;
    let rows = rows.into_iter().map(|row| Waiting {
        task: row.task_id,
        share: row.share,
        model: row.model,
        since: row.since,
        cost: row.cost_micros,
    });
    Ok(rows.collect())
}

/// The task wants no turn any more; one that it did not use is given back.
pub async fn leave(conn: &mut PgConnection, provider: &str, task_id: i64) -> Result<(), DbError> {
    const DOING: &str = "leave the line";
    let waits = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM limit_waits WHERE task_id = $1) AS "waits!""#,
        task_id
    );
    if !waits.fetch_one(&mut *conn).await.doing(DOING)? {
        return Ok(());
    }
    gates::lock(conn, provider, true).await?;
    let had_turn = sqlx::query_scalar!(
        r#"DELETE FROM limit_waits WHERE task_id = $1 RETURNING coalesce(turn_ends >= clock_timestamp(), false) AS "turn!""#,
        task_id
    )
    .fetch_optional(&mut *conn)
    .await
    .doing(DOING)?;
    if had_turn != Some(true) {
        return Ok(());
    }
    let now = gates::clock(conn).await?;
    let step = gates::state(conn, provider, now).await?.account.step.unwrap_or_default();
    sqlx::query!(
        "UPDATE provider_limits SET next_at = next_at - make_interval(secs => $2)
         WHERE provider = $1 AND class = 'create' AND model = '*' AND next_at > clock_timestamp()",
        provider,
        step.as_seconds_f64()
    )
    .execute(conn)
    .await
    .doing(DOING)?;
    Ok(())
}

/// Takes turns back that are given and not used: what they were given under has changed. The account's row is locked.
pub(super) async fn revoke(conn: &mut PgConnection, provider: &str, model: &str) -> Result<(), DbError> {
    const DOING: &str = "take turns back";
    let revoked = sqlx::query!(
        "UPDATE limit_waits SET turn_at = NULL, turn_ends = NULL
         WHERE provider = $1 AND $2 IN ('*', model) AND turn_at IS NOT NULL",
        provider,
        model
    )
    .execute(&mut *conn)
    .await
    .doing(DOING)?;
    if model == WHOLE_ACCOUNT && revoked.rows_affected() > 0 {
        sqlx::query!(
            "UPDATE provider_limits SET next_at = least(next_at, clock_timestamp()) WHERE provider = $1 AND class = 'create'",
            provider
        )
        .execute(conn)
        .await
        .doing(DOING)?;
    }
    Ok(())
}

/// Whether anybody waits in a line without a turn, of any provider.
pub async fn providers_waited_for(conn: &mut PgConnection) -> Result<Vec<String>, DbError> {
    sqlx::query_scalar!(
        "SELECT DISTINCT provider FROM limit_waits WHERE turn_at IS NULL OR turn_ends < clock_timestamp()"
    )
    .fetch_all(conn)
    .await
    .doing("look for lines")
}

/// Whether a task of the job is in a line.
pub async fn job_waits(conn: &mut PgConnection, job_id: i64) -> Result<bool, DbError> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM limit_waits WHERE job_id = $1 AND turn_at IS NULL) AS "waits!""#,
        job_id
    )
    .fetch_one(conn)
    .await
    .doing("look for the job's waits")
}

/// The job has ended: none of its tasks wants a turn.
pub(crate) async fn job_waits_no_more(conn: &mut PgConnection, job_id: i64) -> Result<(), DbError> {
    const DOING: &str = "end the job's waits for turns";
    // Whoever gives turns locks the account before the waits.
    let providers = sqlx::query_scalar!(
        "SELECT DISTINCT provider FROM limit_waits WHERE job_id = $1 ORDER BY provider",
        job_id
    );
    for provider in providers.fetch_all(&mut *conn).await.doing(DOING)? {
        gates::lock(conn, &provider, true).await?;
    }
    sqlx::query!("DELETE FROM limit_waits WHERE job_id = $1", job_id).execute(conn).await.doing(DOING)?;
    Ok(())
}
