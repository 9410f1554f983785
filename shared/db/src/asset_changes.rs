//! Assets that are described anew or taken away.

use crate::edit::Edit;
use crate::error::{DbError, Doing};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// What people say about an asset; its bytes never change.
#[derive(Debug, Clone, Default)]
pub struct AssetEdit {
    /// File or display name.
    pub name: Option<String>,
    /// Free text.
    pub description: Edit<String>,
    /// All of them anew.
    pub tags: Option<Vec<String>>,
    /// A JSON object, all of it anew.
    pub metadata: Option<Value>,
}

/// Changes what is said about an asset; `false` when there is none (for this owner).
pub async fn update(
    conn: &mut PgConnection,
    id: Uuid,
    owner: Option<Uuid>,
    edit: &AssetEdit,
) -> Result<bool, DbError> {
    let (describe, description) = edit.description.parts();
    let done = sqlx::query!(
        "UPDATE assets SET name = COALESCE($3, name), description = CASE WHEN $4 THEN $5 ELSE description END,
                tags = COALESCE($6, tags), metadata = COALESCE($7, metadata), updated_at = now()
         WHERE id = $1 AND ($2::uuid IS NULL OR client_id = $2) AND deleted_at IS NULL",
        id,
        owner,
        edit.name,
        describe,
        description,
        edit.tags.as_deref(),
        edit.metadata,
    )
    .execute(conn)
    .await
    .doing("change the asset")?;
    Ok(done.rows_affected() == 1)
}

/// What became of an attempt to take an asset away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// Nobody sees it any more.
    Removed,
    /// These jobs have not ended and use it; at most ten are named.
    InUse(Vec<i64>),
    /// There is no such asset (for this owner).
    Unknown,
}

/// Takes an asset away from the sight of callers. Its row and its bytes stay: a scene of a job that has ended may be made from it
/// again, and one that is being created at this moment.
pub async fn remove(conn: &mut PgConnection, id: Uuid, owner: Option<Uuid>) -> Result<Removal, DbError> {
    let found = sqlx::query_scalar!(
        "SELECT id FROM assets WHERE id = $1 AND ($2::uuid IS NULL OR client_id = $2) AND deleted_at IS NULL FOR UPDATE",
        id,
        owner,
    )
    .fetch_optional(&mut *conn)
    .await
    .doing("lock the asset")?;
    if found.is_none() {
        return Ok(Removal::Unknown);
    }
    let jobs = sqlx::query_scalar!(
        "SELECT j.id FROM jobs j WHERE j.state IN ('planning', 'pending', 'approved', 'processing') AND j.id IN (
             SELECT job_id FROM scenes WHERE first_asset_id = $1 UNION SELECT job_id FROM scenes WHERE last_asset_id = $1)
         ORDER BY j.id LIMIT 10",
        id
    )
    .fetch_all(&mut *conn)
    .await
    .doing("find the jobs that use the asset")?;
    if !jobs.is_empty() {
        return Ok(Removal::InUse(jobs));
    }
    sqlx::query!("UPDATE assets SET deleted_at = now(), updated_at = now() WHERE id = $1", id)
        .execute(conn)
        .await
        .doing("take the asset away")?;
    Ok(Removal::Removed)
}
