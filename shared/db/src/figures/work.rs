//! Jobs on their way, predictions under way, and what waits for a provider.

use crate::error::{DbError, Doing};
use sqlx::PgConnection;

/// What is under way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Work {
    /// Jobs by state.
    pub jobs: Vec<(String, i64)>,
    /// Jobs by what they are parked for.
    pub parked: Vec<(String, i64)>,
    /// Predictions that are not settled, by state.
    pub open: Vec<(String, i64)>,
    /// By provider and model: predictions in flight with the turns that are given, and tasks in the line.
    pub models: Vec<(String, String, i64, i64)>,
    /// Breakers that are not closed.
    pub breakers: Vec<OpenBreaker>,
    /// Providers that there are limits of.
    pub providers: Vec<String>,
}

/// A breaker that is not closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBreaker {
    pub provider: String,
    /// A model, or `*`.
    pub model: String,
    /// Who or what opened it: a word of [`crate::limits::breaker::By`].
    pub by: String,
}

/// Counts it.
pub async fn work(conn: &mut PgConnection) -> Result<Work, DbError> {
    const DOING: &str = "count what is under way";
    // Both conditions name the states literally, so that the partial indexes of live jobs and open predictions serve them.
    let counts = sqlx::query!(
        r#"SELECT 'job' AS "what!", state AS "word!", count(*) AS "n!" FROM jobs WHERE state IN ('planning', 'approved', 'processing') GROUP BY state
           UNION ALL
           SELECT 'parked', parked, count(*) FROM jobs WHERE state IN ('planning', 'approved', 'processing') AND parked IS NOT NULL GROUP BY parked
           UNION ALL
           SELECT 'open', state, count(*) FROM predictions WHERE state IN ('intent', 'submitted', 'unknown', 'in_doubt') GROUP BY state"#
    )
    .fetch_all(&mut *conn)
    .await
    .doing(DOING)?;
    let models = sqlx::query!(
        r#"SELECT provider AS "provider!", model AS "model!", sum(flying)::bigint AS "flying!", sum(waiting)::bigint AS "waiting!" FROM (
               SELECT provider, model, count(*) AS flying, 0 AS waiting FROM predictions
               WHERE state IN ('intent', 'submitted', 'unknown') GROUP BY 1, 2
               UNION ALL
               SELECT provider, model, count(turn_at), count(*) - count(turn_at) FROM limit_waits GROUP BY 1, 2) counted
           GROUP BY 1, 2 ORDER BY 3 DESC, 4 DESC LIMIT 100"#
    )
    .fetch_all(&mut *conn)
    .await
    .doing(DOING)?;
    let breakers = sqlx::query_as!(
        OpenBreaker,
        r#"SELECT provider, model, opened_by AS "by!" FROM breakers WHERE open_until IS NOT NULL LIMIT 100"#
    )
    .fetch_all(&mut *conn)
    .await
    .doing(DOING)?;
    let providers =
        sqlx::query_scalar!("SELECT DISTINCT provider FROM provider_limits ORDER BY provider LIMIT 20")
            .fetch_all(conn)
            .await
            .doing(DOING)?;
    let of = |what: &str| {
        counts.iter().filter(|row| row.what == what).map(|row| (row.word.clone(), row.n)).collect()
    };
    Ok(Work {
        jobs: of("job"),
        parked: of("parked"),
        open: of("open"),
        models: models.into_iter().map(|row| (row.provider, row.model, row.flying, row.waiting)).collect(),
        breakers,
        providers,
    })
}
