//! One transaction for a few rows of a table: our rows, what they are made of, and their places in the register, or nothing.

use crate::error::ImportError;
use crate::keep::{Held, Media};
use crate::map::asset::plain;
use crate::map::{Mapped, Target};
use crate::source::row::Row;
use serde_json::{Map, Value};
use spool_db::import::register::{self, Fate, Origin};
use spool_db::import::{accounts, briefs, jobs, purchases};
use spool_db::media;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// A row of the older database that goes into the register.
pub(crate) struct Registration {
    pub(crate) table: String,
    pub(crate) row: String,
    pub(crate) checksum: String,
    pub(crate) fate: Fate,
    pub(crate) document: Map<String, Value>,
    pub(crate) media: Media,
}

/// A row and all that is written with it.
pub(crate) struct Item {
    pub(crate) row: Row,
    pub(crate) checksum: String,
    pub(crate) media: Media,
    pub(crate) mapped: Mapped,
    /// Rows that went into it.
    pub(crate) parts: Vec<Registration>,
}

/// Which run it is, and how it decides.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) source: &'a str,
    pub(crate) id: i64,
    pub(crate) renumber: bool,
}

/// Writes the batch; the fates are those of the items, in order.
pub(crate) async fn write(pool: &PgPool, run: Run<'_>, items: &mut [Item]) -> Result<Vec<Fate>, ImportError> {
    let failed = |doing| move |source| ImportError::Transaction { doing, source };
    let mut transaction = pool.begin().await.map_err(failed("begin"))?;
    let campaigns: Vec<Uuid> = items.iter().filter_map(|item| campaign_of(&item.mapped.target)).collect();
    jobs::lock_campaigns(&mut transaction, &campaigns).await?;
    let mut fates = Vec::with_capacity(items.len());
    for item in items.iter_mut() {
        fates.push(write_item(&mut transaction, run, item).await?);
    }
    transaction.commit().await.map_err(failed("commit"))?;
    Ok(fates)
}

/// The campaign whose videos an item counts.
fn campaign_of(target: &Target) -> Option<Uuid> {
    match target {
        Target::Job { job, .. } => job.campaign_id,
        _ => None,
    }
}

async fn write_item(conn: &mut PgConnection, run: Run<'_>, item: &mut Item) -> Result<Fate, ImportError> {
    for row in &item.mapped.media_rows {
        media::record(conn, row).await?;
    }
    let parts = item.parts.iter().flat_map(|part| part.media.values());
    for held in item.media.values().chain(parts) {
        media::record(conn, &plain(held)).await?;
    }
    let fate = write_target(conn, run, &item.mapped.target).await?;
    // Our row is another one, or none: the whole row is kept.
    if !matches!(fate, Fate::Carried { .. }) {
        item.mapped.document = item.row.document();
    }
    let row = Registration {
        table: item.row.table.clone(),
        row: item.row.id.clone(),
        checksum: item.checksum.clone(),
        fate: fate.clone(),
        document: std::mem::take(&mut item.mapped.document),
        media: item.media.clone(),
    };
    register_row(conn, run, &row).await?;
    item.mapped.document = row.document;
    for part in &item.parts {
        register_row(conn, run, part).await?;
    }
    Ok(fate)
}

async fn register_row(conn: &mut PgConnection, run: Run<'_>, row: &Registration) -> Result<(), ImportError> {
    let origin = Origin { source: run.source, table: &row.table, row: &row.row };
    let document = Value::Object(row.document.clone());
    register::record(conn, run.id, origin, &row.checksum, &row.fate, &document).await?;
    for (column, Held { digest, .. }) in &row.media {
        register::record_media(conn, origin, column, digest).await?;
    }
    Ok(())
}

async fn write_target(conn: &mut PgConnection, run: Run<'_>, target: &Target) -> Result<Fate, ImportError> {
    let (table, id, made) = match target {
        Target::Client(id, new, times) => ("clients", id, accounts::client(conn, *id, new, *times).await?),
        Target::Campaign(id, new, times) => {
            ("campaigns", id, accounts::campaign(conn, *id, new, *times).await?)
        }
        Target::Asset(id, new, times) => ("assets", id, accounts::asset(conn, *id, new, *times).await?),
        Target::Brief(id, new, times) => ("briefs", id, briefs::brief(conn, *id, new, *times).await?),
        Target::Beside(why) => return Ok(Fate::Beside { why: why.clone() }),
        Target::Waiting(why) => return Ok(Fate::Waiting { why: why.clone() }),
        Target::Job { number, job, purchases } => {
            let mut written = jobs::job(conn, *number, job, run.source).await?;
            if written.is_none() && run.renumber {
                written = jobs::job(conn, None, job, run.source).await?;
            }
            let Some(id) = written else {
                let why = "a job with its number was made while the import ran".to_owned();
                return Ok(Fate::Beside { why });
            };
            for (prediction, old) in purchases {
                purchases::purchase(conn, *prediction, id, old).await?;
            }
            return Ok(Fate::Carried { target: "jobs", id: id.to_string() });
        }
    };
    if made {
        Ok(Fate::Carried { target: table, id: id.to_string() })
    } else {
        Ok(Fate::Beside { why: format!("there is one with its id in {table} already, which stays as it is") })
    }
}
