//! What was spent in the last day by what it was good for, for whoever looks each minute: hours that are over are kept, and looked at
//! again one by one.

use crate::error::{DbError, Doing};
use crate::waste::CLASSES;
use spool_job::money::Micros;
use sqlx::PgConnection;

/// Every class of this hour and the 23 before it, with what was settled and what the provider billed beside the ledger.
///
/// This hour and the one before are sorted each time, and so is the one of the others that was not for longest: what becomes of an older
/// purchase is seen after 22 calls at the latest. The first call sorts all of them.
///
/// # Errors
/// When the database cannot say.
pub async fn of_last_day(conn: &mut PgConnection) -> Result<Vec<(&'static str, Micros)>, DbError> {
    sqlx::query!(
        "WITH hours AS (
             SELECT hour, w.looked_at IS NULL OR hour >= date_trunc('hour', now()) - interval '1 hour'
                          OR row_number() OVER (ORDER BY hour >= date_trunc('hour', now()) - interval '1 hour', w.looked_at) = 1 AS due
             FROM generate_series(date_trunc('hour', now()) - interval '23 hours', date_trunc('hour', now()), interval '1 hour') hour
             LEFT JOIN waste_hours w USING (hour)
         ), gone AS (
             DELETE FROM waste_hours WHERE hour < date_trunc('hour', now()) - interval '23 hours'
         )
         INSERT INTO waste_hours (hour, looked_at, classes)
         SELECT hour, clock_timestamp(), found.classes FROM hours CROSS JOIN LATERAL (
             SELECT COALESCE(jsonb_object_agg(class, micros), '{}') AS classes
             FROM (SELECT class, sum(micros) AS micros FROM spend_classes
                   WHERE at >= hours.hour AND at < hours.hour + interval '1 hour' GROUP BY class) sorted) found
         WHERE due
         ON CONFLICT (hour) DO UPDATE SET looked_at = excluded.looked_at, classes = excluded.classes"
    )
    .execute(&mut *conn)
    .await
    .doing("sort what was spent in the last hours by what it was good for")?;
    let found = sqlx::query!(
        r#"SELECT key AS "class!", sum(value::bigint)::bigint AS "micros!" FROM waste_hours, jsonb_each_text(classes)
           WHERE hour >= date_trunc('hour', now()) - interval '23 hours' GROUP BY key"#
    )
    .fetch_all(conn)
    .await
    .doing("read what was spent in the last day by what it was good for")?;
    let of = |class: &&'static str| {
        let row = found.iter().find(|row| row.class == *class);
        (*class, Micros(row.map_or(0, |row| row.micros)))
    };
    Ok(CLASSES.iter().map(of).collect())
}
