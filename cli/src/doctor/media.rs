//! Files without rows and rows without files. The store is listed in 256 parts, so that at most one part's digests are in memory.

use std::collections::HashMap;

use chrono::TimeDelta;
use futures::TryStreamExt;
use spool_db::checkup;
use spool_job::clock::{Clock, SystemClock};
use spool_media::inventory::{Entry, Inventory, PARTS};
use spool_media::key::Digest;
use sqlx::PgPool;

use super::finding::or_ok;
use super::{Finding, Findings, Trouble};

/// A file is there before its row is; one this young may be waiting for it.
const YOUNG: TimeDelta = TimeDelta::hours(1);
/// That are named of each.
const EXAMPLES: usize = 3;

/// Files or rows that lack the other one.
#[derive(Debug, Default)]
struct Odd {
    count: u64,
    bytes: u64,
    examples: Vec<String>,
}

impl Odd {
    fn add(&mut self, name: &str, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
        if self.examples.len() < EXAMPLES {
            self.examples.push(name.to_owned());
        }
    }

    fn told(&self) -> String {
        let more = if self.count > EXAMPLES as u64 { ", …" } else { "" };
        format!("{} MB: {}{more}", self.bytes.div_ceil(1_000_000), self.examples.join(", "))
    }
}

#[derive(Debug, Default)]
struct Compared {
    files: u64,
    without_row: Odd,
    without_file: Odd,
    wrong_length: Odd,
}

pub(super) async fn look(pool: &PgPool, inventory: &Inventory) -> Findings {
    let mut compared = Compared::default();
    for part in PARTS {
        compare(pool, inventory, part, &mut compared).await?;
    }
    let Compared { files, without_row, without_file, wrong_length } = &compared;
    let mut found = Vec::new();
    if without_file.count > 0 {
        found.push(Finding::error(
            format!("{} media have a row and no file, {}", without_file.count, without_file.told()),
            "bring them back from a backup of the store; for what was imported: `spool import … --verify`",
        ));
    }
    if wrong_length.count > 0 {
        found.push(Finding::error(
            format!("{} files have another length than their row says, {}", wrong_length.count, wrong_length.told()),
            "bring them back from a backup of the store: something has changed them; `sha256sum FILE` must be its name",
        ));
    }
    if without_row.count > 0 {
        found.push(Finding::note(format!(
            "{} files have no row, {}: left by processes that died, or put there by hand",
            without_row.count,
            without_row.told()
        )));
    }
    Ok(or_ok(found, || format!("{files} files, each with its row, and no row without its file")))
}

/// One part: all its rows, then its files as they come.
async fn compare(
    pool: &PgPool,
    inventory: &Inventory,
    part: u8,
    compared: &mut Compared,
) -> Result<(), Trouble> {
    let mut tx = pool.begin().await?;
    checkup::begin(&mut tx).await?;
    let rows = checkup::rows_below(&mut tx, &format!("{part:02x}")).await?;
    tx.rollback().await?;
    let mut rows: HashMap<String, i64> = rows.into_iter().collect();
    let young = SystemClock.now() - YOUNG;
    let mut files = inventory.part(part);
    while let Some(Entry { name, bytes, modified }) = files.try_next().await? {
        compared.files += 1;
        match rows.remove(&name) {
            Some(said) if said.unsigned_abs() != bytes => compared.wrong_length.add(&name, bytes),
            None if modified < young => compared.without_row.add(&name, bytes),
            Some(_) | None => {}
        }
    }
    // Their files may have come while the others were listed.
    for (name, bytes) in rows {
        let digest: Digest = name.parse()?;
        if !inventory.has(&digest).await? {
            compared.without_file.add(&name, bytes.unsigned_abs());
        }
    }
    Ok(())
}
