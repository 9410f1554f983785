//! Job numbers are kept: frontends hold on to them. So none may be taken, and none may be given away meanwhile.

use crate::error::ImportError;
use crate::source::open::Source;
use crate::source::system::System;
use spool_db::import::jobs;
use sqlx::PgConnection;

/// Numbers that the error shows.
const SHOWN: usize = 10;

/// Looks at all numbers before anything is written. `reserve` keeps new jobs from taking them.
pub(crate) async fn check(
    conn: &mut PgConnection,
    system: System,
    name: &str,
    source: &Source,
    renumber: bool,
    reserve: bool,
) -> Result<(), ImportError> {
    let table = match system {
        System::Elixir => "jobs",
        System::Scenes => "generated_videos",
    };
    if source.table(table).is_none_or(|table| !table.has("id")) {
        return Ok(());
    }
    let mut highest = 0;
    loop {
        let numbers = source.numbers(table, "id", highest).await?;
        let Some(last) = numbers.last() else { break };
        highest = *last;
        if !renumber {
            let taken = jobs::taken(conn, name, table, &numbers).await?;
            if !taken.is_empty() {
                let first = taken.iter().take(SHOWN).copied().collect();
                return Err(ImportError::NumbersTaken { origin: name.to_owned(), count: taken.len(), first });
            }
        }
    }
    if reserve && highest > 0 {
        jobs::number_above(conn, highest).await?;
    }
    Ok(())
}
