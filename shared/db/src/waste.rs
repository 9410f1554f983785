//! The waste ledger: what each settled amount was good for, by the view `spend_classes`, which knows what has become of it until
//! now. The classes of a span add up to what was settled in it, and to what the provider billed beside it.

use crate::error::{DbError, Doing};
use crate::spend::Span;
use spool_job::money::Micros;
use sqlx::PgConnection;

/// The one class that is no waste.
pub const USEFUL: &str = "useful";
/// Every class, the good one first; one amount is in exactly one of them.
pub const CLASSES: [&str; 5] = [USEFUL, "duplicate", "orphaned", "late_cancelled", "failed"];

/// What was spent in one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// One of [`CLASSES`].
    pub class: &'static str,
    /// How much of the ledger.
    pub settled: Micros,
    /// How much more the provider billed for what no row wanted: only `orphaned` has any.
    pub beside_ledger: Micros,
    /// In how many purchases.
    pub purchases: i64,
}

/// All classes of what was settled in a span, in the order of [`CLASSES`].
pub async fn of_span(conn: &mut PgConnection, span: &Span) -> Result<Vec<Class>, DbError> {
    let (begins_at, ends_at) = span.bounds();
    let found = sqlx::query!(
        r#"SELECT class AS "class!", COALESCE(sum(micros) FILTER (WHERE NOT beside_ledger), 0)::bigint AS "settled!",
                  COALESCE(sum(micros) FILTER (WHERE beside_ledger), 0)::bigint AS "beside_ledger!", count(*) AS "purchases!" FROM spend_classes
           WHERE at >= $1 AND at < $2 GROUP BY class"#,
        begins_at,
        ends_at,
    )
    .fetch_all(conn)
    .await
    .doing("sort what was spent by what it was good for")?;
    let class = |name: &&'static str| {
        let row = found.iter().find(|row| row.class == *name);
        Class {
            class: name,
            settled: Micros(row.map_or(0, |row| row.settled)),
            beside_ledger: Micros(row.map_or(0, |row| row.beside_ledger)),
            purchases: row.map_or(0, |row| row.purchases),
        }
    };
    Ok(CLASSES.iter().map(class).collect())
}
