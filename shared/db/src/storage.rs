//! How much is stored. Counted in rows: the object store itself is not asked.

use crate::error::{DbError, Doing};
use sqlx::PgConnection;

/// Files and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// How many.
    pub files: i64,
    /// Together.
    pub bytes: i64,
}

/// All that is stored; each content counts once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// Everything.
    pub all: Amount,
    /// By content type, largest first.
    pub by_type: Vec<(String, Amount)>,
    /// Content of assets that callers see.
    pub assets: Amount,
    /// Finished videos.
    pub videos: Amount,
    /// Clips of scenes.
    pub clips: Amount,
}

/// Counts everything.
pub async fn stored(conn: &mut PgConnection) -> Result<Stored, DbError> {
    const DOING: &str = "count what is stored";
    let by_type = sqlx::query!(
        r#"SELECT content_type, count(*) AS "files!", sum(bytes)::bigint AS "bytes!" FROM media GROUP BY 1 ORDER BY 3 DESC, 1"#
    )
    .fetch_all(&mut *conn)
    .await
    .doing(DOING)?;
    let parts = sqlx::query!(
        r#"SELECT used.part AS "part!", count(*) AS "files!", COALESCE(sum(m.bytes), 0)::bigint AS "bytes!"
           FROM (SELECT 'assets' AS part, digest FROM assets WHERE deleted_at IS NULL
                 UNION SELECT 'videos', video_digest FROM jobs WHERE state = 'completed'
                 UNION SELECT 'clips', clip_digest FROM scenes WHERE clip_digest IS NOT NULL) used
                JOIN media m ON m.digest = used.digest GROUP BY 1"#
    )
    .fetch_all(conn)
    .await
    .doing(DOING)?;
    let part = |name: &str| {
        let row = parts.iter().find(|row| row.part == name);
        row.map_or_else(Amount::default, |row| Amount { files: row.files, bytes: row.bytes })
    };
    Ok(Stored {
        all: Amount {
            files: by_type.iter().map(|row| row.files).sum(),
            bytes: by_type.iter().map(|row| row.bytes).sum(),
        },
        assets: part("assets"),
        videos: part("videos"),
        clips: part("clips"),
        by_type: by_type
            .into_iter()
            .map(|row| (row.content_type, Amount { files: row.files, bytes: row.bytes }))
            .collect(),
    })
}
