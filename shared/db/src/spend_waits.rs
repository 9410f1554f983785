//! The line for money: who waits, who is offered some, and who stands back for them.
//!
//! Whatever may leave more money (a raised limit, a settlement below what was held, a new day) is followed by a round of offers: by
//! whoever raised the limit in the same transaction, by the workers every other second. An offer is a mark on the wait's row. The
//! task wakes and reserves as always: nothing is held by an offer, but for a minute the others leave that much alone.

use crate::error::{DbError, Doing};
use crate::spend_order::{self, Offer, Waiting};
use spool_job::money::Micros;
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashMap};

/// Offers of one round; the next follows soon.
const MOST_OFFERS: usize = 500;
/// So many of each share are looked at in a round.
const MOST_OF_A_SHARE: i64 = 200;

/// A task that wants money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish<'a> {
    pub task_id: i64,
    pub job_id: i64,
    /// Whose work it is.
    pub share: Option<&'a str>,
    pub micros: Micros,
}

/// What a task that wants money may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Reserve: it has an offer, or nobody waits whom that would harm, or it will hear what is missing.
    Try,
    /// Wait: there is money, and others have waited for it longer.
    Behind,
}

/// Looks, without a lock.
pub async fn place(conn: &mut PgConnection, wish: &Wish<'_>) -> Result<Place, DbError> {
    const DOING: &str = "look at the line for money";
    let others = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM spend_waits WHERE task_id <> $1) AS "others!""#,
        wish.task_id
    );
    if !others.fetch_one(&mut *conn).await.doing(DOING)? {
        return Ok(Place::Try);
    }
    let behind = sqlx::query_scalar!(
        r#"WITH room AS MATERIALIZED (SELECT * FROM budget_room()),
                mine AS (SELECT r.left_micros, r.spare_micros FROM jobs j CROSS JOIN room r
                         WHERE j.id = $2 AND (r.scope, r.scope_key) IN (('all', ''), ('client', j.client_id::text), ('campaign', j.campaign_id::text), ('job', j.id::text)))
           SELECT NOT EXISTS (SELECT FROM spend_stop)
              AND NOT EXISTS (SELECT FROM spend_waits WHERE task_id = $1 AND offered_at IS NOT NULL)
              AND NOT EXISTS (SELECT FROM mine WHERE left_micros < $3)
              AND (EXISTS (SELECT FROM mine WHERE spare_micros < $3)
                   OR EXISTS (SELECT FROM spend_waits w JOIN jobs j ON j.id = w.job_id
                              WHERE w.task_id <> $1 AND w.offered_at IS NULL AND NOT EXISTS (
                                  SELECT FROM room r
                                  WHERE (r.scope, r.scope_key) IN (('all', ''), ('client', j.client_id::text), ('campaign', j.campaign_id::text), ('job', j.id::text))
                                    AND r.spare_micros < w.micros))) AS "behind!""#,
        wish.task_id,
        wish.job_id,
        wish.micros.0,
    )
    .fetch_one(conn)
    .await
    .doing(DOING)?;
    Ok(if behind { Place::Behind } else { Place::Try })
}

/// Notes that a task waits for money. One that waits already keeps its place; an offer that it had is over.
pub async fn wait(conn: &mut PgConnection, wish: &Wish<'_>) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO spend_waits (task_id, job_id, share, micros) VALUES ($1, $2, $3, $4)
         ON CONFLICT (task_id) DO UPDATE SET share = excluded.share, micros = excluded.micros, offered_at = NULL",
        wish.task_id,
        wish.job_id,
        wish.share.unwrap_or_default(),
        wish.micros.0,
    )
    .execute(conn)
    .await
    .doing("wait for money")?;
    Ok(())
}

/// Offers what the budgets leave to those who wait, in fair order; the caller wakes them in the order given, which is that of
/// their ids. While spending is stopped they wake to hear of it.
pub async fn offer(conn: &mut PgConnection) -> Result<Vec<i64>, DbError> {
    const DOING: &str = "offer money";
    let waiting = fitting(conn).await?;
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    let left = sqlx::query!(r#"SELECT budget_id AS "id!", spare_micros AS "spare!" FROM budget_room()"#)
        .fetch_all(&mut *conn)
        .await
        .doing(DOING)?;
    let shares =
        sqlx::query!("SELECT share, turn FROM spend_shares").fetch_all(&mut *conn).await.doing(DOING)?;
    let last_turn = shares.iter().map(|share| share.turn).max().unwrap_or(0);
    let turns = shares.into_iter().map(|share| (share.share, share.turn)).collect();
    let left: BTreeMap<i64, i64> = left.into_iter().map(|row| (row.id, row.spare)).collect();
    let mut offers = spend_order::offers(&waiting, left, &turns, last_turn, MOST_OFFERS);
    // Who is just reserving, or is being offered money by somebody else, is passed over: nobody waits here.
    let tasks: Vec<i64> = offers.iter().map(|offer| offer.task).collect();
    let marked = sqlx::query_scalar!(
        "UPDATE spend_waits SET offered_at = now()
         WHERE task_id IN (SELECT task_id FROM spend_waits WHERE task_id = ANY($1) AND offered_at IS NULL FOR UPDATE SKIP LOCKED)
         RETURNING task_id",
        &tasks
    )
    .fetch_all(&mut *conn)
    .await
    .doing(DOING)?;
    offers.retain(|offer| marked.contains(&offer.task));
    remember(conn, &offers).await?;
    // Tasks are locked in the order of their ids by all who lock many.
    let mut woken: Vec<i64> = offers.into_iter().map(|offer| offer.task).collect();
    woken.sort_unstable();
    Ok(woken)
}

/// The same from time to time: nobody is woken in vain while spending is stopped.
pub async fn offer_while_spending(conn: &mut PgConnection) -> Result<Vec<i64>, DbError> {
    let go = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM spend_waits WHERE offered_at IS NULL) AND NOT EXISTS (SELECT FROM spend_stop) AS "go!""#
    );
    if go.fetch_one(&mut *conn).await.doing("look for waits for money")? {
        offer(conn).await
    } else {
        Ok(Vec::new())
    }
}

/// Those without an offer for whom there would be enough if they were alone, longest waiting first.
async fn fitting(conn: &mut PgConnection) -> Result<Vec<Waiting>, DbError> {
    let rows = sqlx::query!(
        r#"WITH room AS MATERIALIZED (SELECT * FROM budget_room()),
                waits AS (
                    SELECT w.*, ARRAY(SELECT r.budget_id FROM room r WHERE (r.scope, r.scope_key) IN
                               (('all', ''), ('client', j.client_id::text), ('campaign', j.campaign_id::text), ('job', j.id::text))) AS budgets
                    FROM spend_waits w JOIN jobs j ON j.id = w.job_id WHERE w.offered_at IS NULL),
                ranked AS (
                    SELECT w.*, row_number() OVER (PARTITION BY share ORDER BY since, task_id) AS place FROM waits w
                    WHERE NOT EXISTS (SELECT FROM room r WHERE r.budget_id = ANY(w.budgets) AND r.spare_micros < w.micros))
           SELECT task_id AS "task!", share AS "share!", micros AS "micros!", budgets AS "budgets!" FROM ranked
           WHERE place <= $1 ORDER BY since, task_id"#,
        MOST_OF_A_SHARE
    )
    .fetch_all(conn)
    .await
    .doing("read the line for money")?;
    let rows = rows.into_iter().map(|row| Waiting {
        task: row.task,
        share: row.share,
        micros: row.micros,
        budgets: row.budgets,
    });
    Ok(rows.collect())
}

/// Whose turn it was.
async fn remember(conn: &mut PgConnection, offers: &[Offer]) -> Result<(), DbError> {
    let latest: BTreeMap<&str, i64> = offers.iter().map(|offer| (offer.share.as_str(), offer.turn)).collect();
    let (shares, turns): (Vec<String>, Vec<i64>) =
        latest.into_iter().map(|(share, turn)| (share.to_owned(), turn)).unzip();
    sqlx::query!(
        "INSERT INTO spend_shares AS s (share, turn) SELECT share, turn FROM unnest($1::text[], $2::bigint[]) AS new (share, turn) ORDER BY share
         ON CONFLICT (share) DO UPDATE SET turn = greatest(s.turn, excluded.turn)",
        &shares,
        &turns
    )
    .execute(conn)
    .await
    .doing("remember whose turn it was")?;
    Ok(())
}

/// Whether a task of the job waits for money.
pub async fn job_waits(conn: &mut PgConnection, job_id: i64) -> Result<bool, DbError> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM spend_waits WHERE job_id = $1) AS "waits!""#, job_id)
        .fetch_one(conn)
        .await
        .doing("look for waits for money")
}

/// The job has ended: none of its tasks wants money.
pub(crate) async fn job_waits_no_more(conn: &mut PgConnection, job_id: i64) -> Result<(), DbError> {
    sqlx::query!("DELETE FROM spend_waits WHERE job_id = $1", job_id)
        .execute(conn)
        .await
        .doing("end the job's waits for money")?;
    Ok(())
}

/// The task has its money, or wants none any more.
pub async fn waits_no_more(conn: &mut PgConnection, task_id: i64) -> Result<(), DbError> {
    sqlx::query!("DELETE FROM spend_waits WHERE task_id = $1", task_id)
        .execute(conn)
        .await
        .doing("end a wait for money")?;
    Ok(())
}

/// How many tasks have waited longer for money than each of the job's that waits, whichever limit they wait for. Shares
/// take turns, so that not all of them come first.
pub async fn places(conn: &mut PgConnection, job_id: i64) -> Result<HashMap<i64, u64>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT w.task_id, (SELECT count(*) FROM spend_waits b WHERE (b.since, b.task_id) < (w.since, w.task_id)) AS "ahead!"
           FROM spend_waits w WHERE w.job_id = $1"#,
        job_id
    )
    .fetch_all(conn)
    .await
    .doing("look where the tasks of a job stand in line for money")?;
    Ok(rows.into_iter().map(|row| (row.task_id, row.ahead.unsigned_abs())).collect())
}
