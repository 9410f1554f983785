//! The rows of limits as the plan's gates, and back.

use super::plan::{Gate, Moment, Share, State};
use super::{TOLERANCE, USED, WHOLE_ACCOUNT};
use crate::error::{DbError, Doing};
use chrono::TimeDelta;
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// What a row of limits says, whichever way it came to say it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) model: String,
    pub(super) per_minute: Option<i32>,
    pub(super) max_in_flight: Option<i32>,
    pub(super) gap_ms: i32,
    pub(super) next_at: Option<Moment>,
    pub(super) paused_until: Option<Moment>,
    pub(super) pause_reason: Option<String>,
    pub(super) lowered_per_minute: Option<i32>,
    pub(super) lowered_until: Option<Moment>,
    pub(super) cut: Option<Cut>,
    pub(super) virtual_time: f64,
}

/// The number in flight was cut and grows again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cut {
    pub(super) to: i32,
    pub(super) at: Moment,
    pub(super) grow_per_minute: i32,
}

/// After this a cut is forgotten where no limit says where it ends.
const CUT_FORGOTTEN: TimeDelta = TimeDelta::minutes(30);

impl Row {
    /// Calls a minute that may be made now.
    pub(super) fn rate(&self, now: Moment) -> Option<i32> {
        let lowered = self.lowered_per_minute.filter(|_| self.lowered_until.is_some_and(|until| until > now));
        match (self.per_minute, lowered) {
            (Some(usual), Some(lowered)) => Some(usual.min(lowered)),
            (usual, lowered) => lowered.or(usual),
        }
    }

    /// How many may be in flight now.
    pub(super) fn most(&self, now: Moment) -> Option<i64> {
        let most = self.max_in_flight.map(i64::from);
        let Some(cut) = self.cut.filter(|cut| now - cut.at < CUT_FORGOTTEN) else { return most };
        let grown =
            i64::from(cut.to) + (now - cut.at).num_seconds().max(0) * i64::from(cut.grow_per_minute) / 60;
        Some(most.map_or(grown, |most| most.min(grown)))
    }

    /// The gate that it makes, with so many in flight.
    pub(super) fn gate(&self, now: Moment, in_flight: i64) -> Gate {
        let (step, tolerance) = pace(self.rate(now), self.gap_ms);
        Gate {
            next_at: self.next_at.unwrap_or(Moment::MIN_UTC),
            step,
            tolerance,
            not_before: self.paused_until,
            room: self.most(now).map_or(i64::MAX, |most| (most - in_flight).max(0)),
            probing: false,
        }
    }
}

/// Time between calls, and how much earlier one may come. A gap that the settings ask for is kept to the letter.
pub(super) fn pace(per_minute: Option<i32>, gap_ms: i32) -> (Option<TimeDelta>, TimeDelta) {
    let gap = TimeDelta::milliseconds(gap_ms.into());
    let step =
        per_minute.map(|rate| TimeDelta::microseconds(60_000_000 * 1000 / (i64::from(rate.max(1)) * USED)));
    match step {
        Some(step) if step > gap => (Some(step), TimeDelta::from_std(TOLERANCE).unwrap_or_default()),
        _ if gap > TimeDelta::zero() => (Some(gap), TimeDelta::zero()),
        step => (step, TimeDelta::zero()),
    }
}

/// Locks the account's row, which orders all who decide about its line. False: somebody else holds it, and `wait` was not asked for.
pub(super) async fn lock(conn: &mut PgConnection, provider: &str, wait: bool) -> Result<bool, DbError> {
    const DOING: &str = "lock the provider's limits";
    for _ in 0..2 {
        let held = if wait {
            sqlx::query_scalar!(
                "SELECT model FROM provider_limits WHERE provider = $1 AND class = 'create' AND model = '*' FOR UPDATE",
                provider
            )
            .fetch_optional(&mut *conn)
            .await
        } else {
            sqlx::query_scalar!(
                "SELECT model FROM provider_limits WHERE provider = $1 AND class = 'create' AND model = '*'
                 FOR UPDATE SKIP LOCKED",
                provider
            )
            .fetch_optional(&mut *conn)
            .await
        };
        if held.doing(DOING)?.is_some() {
            return Ok(true);
        }
        if !wait {
            return Ok(false);
        }
        sqlx::query!(
            "INSERT INTO provider_limits (provider, class, model) VALUES ($1, 'create', '*') ON CONFLICT DO NOTHING",
            provider
        )
        .execute(&mut *conn)
        .await
        .doing(DOING)?;
    }
    Ok(false)
}

/// The database's time, now and not at the transaction's begin.
pub(super) async fn clock(conn: &mut PgConnection) -> Result<Moment, DbError> {
    sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(conn).await.doing("read the clock")
}

/// All rows of a class, the account's first.
pub(super) async fn rows(conn: &mut PgConnection, provider: &str, class: &str) -> Result<Vec<Row>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT model, coalesce(per_minute, default_per_minute) AS per_minute,
                  coalesce(max_in_flight, default_max_in_flight) AS max_in_flight, gap_ms,
                  nullif(next_at, '-infinity') AS next_at, paused_until, pause_reason, lowered_per_minute, lowered_until,
                  cut_to, cut_at, grow_per_minute, virtual_time
           FROM provider_limits WHERE provider = $1 AND class = $2 ORDER BY model <> '*', model"#,
        provider,
        class
    )
    .fetch_all(conn)
    .await
    .doing("read the provider's limits")?;
    let rows = rows.into_iter().map(|row| Row {
        cut: match (row.cut_to, row.cut_at, row.grow_per_minute) {
            (Some(to), Some(at), Some(grow_per_minute)) => Some(Cut { to, at, grow_per_minute }),
            _ => None,
        },
        model: row.model,
        per_minute: row.per_minute,
        max_in_flight: row.max_in_flight,
        gap_ms: row.gap_ms,
        next_at: row.next_at,
        paused_until: row.paused_until,
        pause_reason: row.pause_reason,
        lowered_per_minute: row.lowered_per_minute,
        lowered_until: row.lowered_until,
        virtual_time: row.virtual_time,
    });
    Ok(rows.collect())
}

/// What is in flight by model, turns that are given and not used included. One statement: a turn that becomes a prediction
/// meanwhile is seen as the one or as the other. A turn that is over counts until somebody has taken it back, for it may have
/// been used at its last moment by a transaction that is not seen yet.
pub(super) async fn in_flight(
    conn: &mut PgConnection,
    provider: &str,
) -> Result<BTreeMap<String, i64>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT model AS "model!", sum(n)::bigint AS "n!" FROM (
               SELECT model, count(*) AS n FROM predictions
               -- What is in doubt is older than any deadline: whatever became of it, it is over.
               WHERE provider = $1 AND state IN ('intent', 'submitted', 'unknown') GROUP BY model
               UNION ALL
               SELECT model, count(*) FROM limit_waits WHERE provider = $1 AND turn_at IS NOT NULL GROUP BY model) counted
           GROUP BY model"#,
        provider
    )
    .fetch_all(conn)
    .await
    .doing("count what is in flight")?;
    Ok(rows.into_iter().map(|row| (row.model, row.n)).collect())
}

/// Everything that the plan needs but the line itself. The account's row is locked, so it does not change meanwhile.
pub(super) async fn state(conn: &mut PgConnection, provider: &str, now: Moment) -> Result<State, DbError> {
    let rows = rows(conn, provider, "create").await?;
    let in_flight = in_flight(conn, provider).await?;
    let mut state =
        State { account: Gate::open(), models: BTreeMap::new(), shares: BTreeMap::new(), virtual_time: 0.0 };
    for row in rows {
        if row.model == WHOLE_ACCOUNT {
            state.account = row.gate(now, in_flight.values().sum());
            state.virtual_time = row.virtual_time;
        } else {
            let gate = row.gate(now, in_flight.get(&row.model).copied().unwrap_or(0));
            state.models.insert(row.model, gate);
        }
    }
    for open in super::breaker::not_closed(conn, provider).await? {
        let gate = if open.model == WHOLE_ACCOUNT {
            &mut state.account
        } else {
            state.models.entry(open.model.clone()).or_insert_with(Gate::open)
        };
        gate.not_before = gate.not_before.max(Some(open.shut_until(now)));
        gate.probing = true;
    }
    // A share of the usual weight that is behind starts where all are: it is as good as unknown.
    let shares = sqlx::query!(
        "SELECT share, weight, served FROM limit_shares WHERE provider = $1 AND (weight <> 1 OR served > $2)",
        provider,
        state.virtual_time
    )
    .fetch_all(conn)
    .await
    .doing("read the shares")?;
    let shares = shares.into_iter().map(|row| (row.share, Share { weight: row.weight, served: row.served }));
    state.shares = shares.collect();
    Ok(state)
}

/// Writes what a plan has used up.
pub(super) async fn save(
    conn: &mut PgConnection,
    provider: &str,
    before: &State,
    after: &State,
) -> Result<(), DbError> {
    const DOING: &str = "book the turns";
    let mut models = vec![WHOLE_ACCOUNT.to_owned()];
    let mut next_at = vec![after.account.next_at];
    for (model, gate) in &after.models {
        if before.models.get(model).is_none_or(|before| before.next_at != gate.next_at) {
            models.push(model.clone());
            next_at.push(gate.next_at);
        }
    }
    sqlx::query!(
        "UPDATE provider_limits l SET next_at = greatest(l.next_at, n.at),
                virtual_time = CASE l.model WHEN '*' THEN $4 ELSE l.virtual_time END
         FROM unnest($2::text[], $3::timestamptz[]) AS n (model, at)
         WHERE l.provider = $1 AND l.class = 'create' AND l.model = n.model",
        provider,
        &models,
        // Before all moments that Postgres knows.
        &next_at.into_iter().map(|at| at.max(Moment::UNIX_EPOCH)).collect::<Vec<_>>(),
        after.virtual_time,
    )
    .execute(&mut *conn)
    .await
    .doing(DOING)?;
    let changed = after.shares.iter().filter(|(share, now)| before.shares.get(*share) != Some(now));
    let (shares, served): (Vec<String>, Vec<f64>) =
        changed.map(|(share, now)| (share.clone(), now.served)).unzip();
    sqlx::query!(
        "INSERT INTO limit_shares (provider, share, served) SELECT $1, s.share, s.served
         FROM unnest($2::text[], $3::float8[]) AS s (share, served)
         ON CONFLICT (provider, share) DO UPDATE SET served = excluded.served",
        provider,
        &shares,
        &served,
    )
    .execute(conn)
    .await
    .doing(DOING)?;
    Ok(())
}
