//! Whether an answer about a job still holds, without reading all that it was made from.

use crate::error::{DbError, Doing};
use sqlx::PgConnection;

/// Of everything that an answer about a job is made from. Where two marks are equal, the answers are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mark(String);

/// The mark of a job as it stands: which transactions have written its row, its scenes and what it was spared, how much stands in its
/// ledger, and the budgets that bind it. Read it before what it stands for: then a change in between makes the answer newer than its mark,
/// and the next mark differs. `None` when there is no such job.
pub async fn of_job(conn: &mut PgConnection, id: i64) -> Result<Option<Mark>, DbError> {
    let mark = sqlx::query_scalar!(
        r#"SELECT ROW(j.xmin, (SELECT count(*) FROM ledger l WHERE l.job_id = j.id),
                      (SELECT string_agg(ROW(s.index, s.xmin)::text, ' ' ORDER BY s.index) FROM scenes s WHERE s.job_id = j.id),
                      (SELECT string_agg(ROW(p.xmin, b.xmin)::text, ' ' ORDER BY p.id)
                       FROM predictions p JOIN predictions b ON b.id = p.reused_from WHERE p.job_id = j.id),
                      (SELECT string_agg(ROW(b.id, b.hard_micros, p.starts_on, p.turns_at, bp.reserved_micros, bp.settled_micros)::text,
                                         ' ' ORDER BY b.id)
                       FROM budgets b CROSS JOIN LATERAL budget_period(b.period, b.zone, now()) p
                       LEFT JOIN budget_periods bp ON bp.budget_id = b.id AND bp.starts_on = p.starts_on
                       WHERE (b.scope, b.scope_key) IN (('all', ''), ('client', j.client_id::text), ('campaign', j.campaign_id::text),
                                                        ('job', j.id::text))))::text AS "mark!"
           FROM jobs j WHERE j.id = $1 AND j.deleted_at IS NULL"#,
        id
    )
    .fetch_optional(conn)
    .await
    .doing("look whether the job has changed")?;
    Ok(mark.map(Mark))
}
