//! What a client or a campaign has, and what it has really cost: the ledger's settled rows, nothing estimated.

use crate::error::{DbError, Doing};
use spool_job::money::Micros;
use sqlx::PgConnection;
use uuid::Uuid;

/// Counted at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Campaigns of the client; of a campaign, 1.
    pub campaigns: i64,
    /// Jobs, in whatever state.
    pub videos: i64,
    /// Jobs with a video.
    pub completed: i64,
    /// Assets, and their bytes.
    pub assets: i64,
    /// Bytes of the assets; the same content counts each time.
    pub asset_bytes: i64,
    /// Spent.
    pub settled: Micros,
    /// Held for purchases under way.
    pub reserved: Micros,
}

macro_rules! counted {
    ($column:literal, $campaigns:literal, $id:expr) => {
        sqlx::query!(
            r#"SELECT ("# + $campaigns + r#") AS "campaigns!",
                      (SELECT count(*) FROM jobs j WHERE j."# + $column + r#" = $1 AND j.deleted_at IS NULL) AS "videos!",
                      (SELECT count(*) FROM jobs j WHERE j."# + $column + r#" = $1 AND j.state = 'completed' AND j.deleted_at IS NULL) AS "completed!",
                      (SELECT count(*) FROM assets a WHERE a."# + $column + r#" = $1 AND a.deleted_at IS NULL) AS "assets!",
                      (SELECT COALESCE(sum(m.bytes), 0)::bigint FROM assets a JOIN media m ON m.digest = a.digest
                       WHERE a."# + $column + r#" = $1 AND a.deleted_at IS NULL) AS "asset_bytes!",
                      (SELECT COALESCE(sum(l.micros), 0)::bigint FROM ledger l WHERE l."# + $column + r#" = $1 AND l.kind = 'settle')
                          AS "settled!",
                      (SELECT COALESCE(sum(p.estimate_micros), 0)::bigint FROM predictions p JOIN jobs j ON j.id = p.job_id
                       WHERE p.state IN ('intent', 'submitted', 'unknown', 'in_doubt') AND j."# + $column + r#" = $1) AS "reserved!""#,
            $id
        )
    };
}

macro_rules! stats {
    ($row:expr) => {{
        let row = $row;
        Stats {
            campaigns: row.campaigns,
            videos: row.videos,
            completed: row.completed,
            assets: row.assets,
            asset_bytes: row.asset_bytes,
            settled: Micros(row.settled),
            reserved: Micros(row.reserved),
        }
    }};
}

/// Of a client. One that does not exist has nothing; what was spent for one that was deleted stays in the ledger.
pub async fn of_client(conn: &mut PgConnection, id: Uuid) -> Result<Stats, DbError> {
    let row = counted!("client_id", "SELECT count(*) FROM campaigns c WHERE c.client_id = $1", id)
        .fetch_one(conn)
        .await
        .doing("count what the client has")?;
    Ok(stats!(row))
}

/// Of a campaign.
pub async fn of_campaign(conn: &mut PgConnection, id: Uuid) -> Result<Stats, DbError> {
    let row = counted!("campaign_id", "SELECT count(*) FROM campaigns c WHERE c.id = $1", id)
        .fetch_one(conn)
        .await
        .doing("count what the campaign has")?;
    Ok(stats!(row))
}
