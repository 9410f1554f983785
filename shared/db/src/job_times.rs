//! How long a job took, and how much of that was ours.

use crate::error::{DbError, Doing};
use sqlx::PgConnection;

/// Times of a job that has ended, in seconds since its approval.
#[derive(Debug, Clone, PartialEq)]
pub struct JobTimes {
    /// `image_pairs`, `property_photos` or `prompt`.
    pub kind: String,
    /// All of it.
    pub took_s: f64,
    /// Without the time in which something of it was at a provider, as far as we knew, or the job was parked. A call whose answer was lost may be
    /// there until it is found or known not to be: an outage of the provider is no time of ours.
    pub own_s: f64,
}

/// Of a job that has ended, also in this very transaction; none if it was never approved.
pub async fn of_job(conn: &mut PgConnection, id: i64) -> Result<Option<JobTimes>, DbError> {
    let row = sqlx::query!(
        r#"SELECT j.type AS kind, extract(epoch FROM j.finished_at - j.approved_at)::float8 AS took_s,
                  (SELECT coalesce(sum(extract(epoch FROM upper(r) - lower(r))), 0)::float8
                   FROM unnest(tstzmultirange(tstzrange(j.approved_at, j.finished_at)) - j.parked_spans - coalesce(at_provider.spans, '{}')) r) AS "own_s!"
           FROM jobs j
           LEFT JOIN LATERAL (
               SELECT range_agg(tstzrange(there.since, greatest(there.since, coalesce(p.finished_at, now())))) AS spans
               FROM predictions p CROSS JOIN LATERAL (SELECT coalesce(p.unknown_at, p.submitted_at) AS since) there
               WHERE p.job_id = j.id AND there.since IS NOT NULL) at_provider ON true
           WHERE j.id = $1 AND j.approved_at <= j.finished_at"#,
        id
    )
    .fetch_optional(conn)
    .await
    .doing("read how long the job took")?;
    Ok(row.and_then(|row| {
        row.took_s.map(|took_s| JobTimes { kind: row.kind, took_s, own_s: row.own_s.min(took_s) })
    }))
}
