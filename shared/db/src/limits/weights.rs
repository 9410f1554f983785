//! Weights of clients: who gets how much of what is scarce, beside the others.

use crate::error::{DbError, Doing};
use sqlx::PgConnection;
use uuid::Uuid;

/// What a client gets beside the others, in what a provider takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight {
    pub provider: String,
    pub client: Uuid,
    /// The client's name.
    pub name: String,
    /// Turns for each one of a client of weight 1.
    pub weight: f64,
    /// Its tasks that wait for a turn.
    pub waiting: i64,
}

/// Clients whose weight is not 1 and those that wait, by name.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Weight>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT x.provider AS "provider!", c.id, c.name, coalesce(s.weight, 1) AS "weight!", coalesce(w.waiting, 0) AS "waiting!"
           FROM (SELECT provider, share FROM limit_shares WHERE weight <> 1
                 UNION SELECT provider, share FROM limit_waits WHERE turn_at IS NULL) x
           JOIN clients c ON c.id::text = x.share
           LEFT JOIN limit_shares s ON s.provider = x.provider AND s.share = x.share
           LEFT JOIN (SELECT provider, share, count(*) AS waiting FROM limit_waits WHERE turn_at IS NULL GROUP BY provider, share) w
                ON w.provider = x.provider AND w.share = x.share
           ORDER BY x.provider, c.name, c.id"#
    )
    .fetch_all(conn)
    .await
    .doing("list the weights")?;
    let weight = rows.into_iter().map(|row| Weight {
        provider: row.provider,
        client: row.id,
        name: row.name,
        weight: row.weight,
        waiting: row.waiting,
    });
    Ok(weight.collect())
}

/// Gives a client a weight beside the others; 1 is usual. It must be more than 0. None: there is no such client.
pub async fn set(
    conn: &mut PgConnection,
    provider: &str,
    client: Uuid,
    weight: f64,
) -> Result<Option<Weight>, DbError> {
    const DOING: &str = "weigh a client";
    let row = sqlx::query!(
        r#"WITH client AS (SELECT id, name FROM clients WHERE id = $2),
                weighed AS (
                    INSERT INTO limit_shares (provider, share, weight) SELECT $1, id::text, $3 FROM client
                    ON CONFLICT (provider, share) DO UPDATE SET weight = excluded.weight)
           SELECT name, (SELECT count(*) FROM limit_waits WHERE provider = $1 AND share = id::text AND turn_at IS NULL) AS "waiting!"
           FROM client"#,
        provider,
        client,
        weight
    )
    .fetch_optional(conn)
    .await
    .doing(DOING)?;
    Ok(row.map(|row| Weight {
        provider: provider.to_owned(),
        client,
        name: row.name,
        weight,
        waiting: row.waiting,
    }))
}

/// Whether a weight can be: more than 0, and no client gets ten thousand times what another gets.
pub fn is_weight(weight: f64) -> bool {
    (0.01..=100.0).contains(&weight)
}
