//! The books after a trial: the provider's ledger, ours and the budgets must say the same, to the micro-dollar.

use crate::system::System;
use serde_json::Value;
use sqlx::PgPool;
use std::collections::{HashMap, HashSet};

/// A prediction as our row has it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Row {
    /// The provider's id, where there is one.
    pub external_id: Option<String>,
    /// Where it stands.
    pub state: String,
    /// What it cost.
    pub cost_micros: Option<i64>,
    /// What it fills: job, purpose, scene with version, stretch.
    pub slot: String,
}

/// One number from the database.
#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
pub async fn number(pool: &PgPool, sql: &'static str) -> i64 {
    let number: Option<i64> =
        sqlx::query_scalar(sql).fetch_one(pool).await.unwrap_or_else(|error| panic!("{error} in {sql}"));
    number.unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn rows(pool: &PgPool) -> Vec<Row> {
    sqlx::query_as(
        "SELECT external_id, state, cost_micros,
                concat_ws('/', job_id, purpose, scene_id, scene_version, ordinal) AS slot FROM predictions",
    )
    .fetch_all(pool)
    .await
    .expect("predictions")
}

/// What orphans cost that were called off, by the provider's id.
#[expect(clippy::disallowed_methods, reason = "tests look at rows from outside")]
async fn orphaned(pool: &PgPool) -> HashMap<String, i64> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT external_id, cost_micros FROM orphans WHERE done = 'canceled' AND cost_micros > 0",
    )
    .fetch_all(pool)
    .await
    .expect("orphans");
    rows.into_iter().collect()
}

fn micros(charge: &Value) -> i64 {
    charge["cost_micros"].as_i64().expect("a cost")
}

impl System {
    /// All jobs are over: every dollar of the provider stands in our ledger (or beside it, for orphans) and in the budgets, nothing is held, nobody
    /// waits for money, and nothing was bought twice. Returns what was spent, in micro-dollars.
    pub async fn books_balance(&self) -> i64 {
        let pool = self.database().await;
        let (ours, charges) = (rows(&pool).await, self.charges().await);
        let live: Vec<&Row> = ours
            .iter()
            .filter(|row| matches!(row.state.as_str(), "intent" | "submitted" | "unknown" | "in_doubt"))
            .collect();
        assert!(live.is_empty(), "not ended: {live:?}");
        let known: HashMap<&str, &Row> =
            ours.iter().filter_map(|row| Some((row.external_id.as_deref()?, row))).collect();
        let orphaned = orphaned(&pool).await;
        let mut filled = HashSet::new();
        for charge in &charges {
            let id = charge["prediction_id"].as_str().expect("an id");
            if let Some(row) = known.get(id) {
                assert_eq!(micros(charge), row.cost_micros.unwrap_or_default(), "{row:?} against {charge}");
                let succeeded = charge["status"] == "succeeded";
                assert!(!succeeded || filled.insert(&row.slot), "bought twice: {row:?}");
            } else {
                // One that was called off in time is nobody's loss; what it cost all the same stands beside the ledger.
                let cost = orphaned.get(id).copied().unwrap_or_default();
                assert_eq!(micros(charge), cost, "bought behind our back: {charge}");
            }
        }
        let theirs: i64 = charges.iter().map(micros).sum();
        let settled = "SELECT sum(micros)::bigint FROM ledger WHERE kind = 'settle'";
        let beside: i64 = orphaned.values().sum();
        assert_eq!(number(&pool, settled).await + beside, theirs, "our ledger against the provider's");
        let of_all =
            "SELECT sum(settled_micros)::bigint FROM budget_periods bp JOIN budgets b ON b.id = bp.budget_id
                      WHERE b.scope = 'all' AND b.period = 'day'";
        assert_eq!(number(&pool, of_all).await, theirs, "the daily budget against the provider's ledger");
        let reserved = "SELECT sum(reserved_micros)::bigint FROM budget_periods";
        assert_eq!(number(&pool, reserved).await, 0, "nothing is reserved any more");
        assert_eq!(number(&pool, "SELECT count(*) FROM budget_holds").await, 0, "nothing is held any more");
        assert_eq!(number(&pool, "SELECT count(*) FROM spend_waits").await, 0, "nobody waits for money");
        self.invariants_hold().await;
        theirs
    }

    /// Clips and stretches that were bought, and those that were paid for in vain.
    pub async fn purchases(&self) -> (usize, usize) {
        let charges = self.charges().await;
        let useful = charges.iter().filter(|charge| charge["status"] == "succeeded").count();
        let in_vain =
            charges.iter().filter(|charge| charge["status"] != "succeeded" && micros(charge) > 0).count();
        (useful, in_vain)
    }
}
