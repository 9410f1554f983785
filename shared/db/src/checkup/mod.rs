//! What an operator wants to know of a database that may be ill. Every statement is short and reads only; nothing is locked.

mod bloat;
mod holders;
mod money;
mod server;
mod stock;

pub use bloat::{Freezing, Table, freezing, tables};
pub use holders::{Holder, HolderKind, holders};
pub use money::{Lost, Webhooks, lost, models_in_use, webhooks};
pub use server::{Connections, Keys, Server, connections, keys, server};
pub use stock::rows_below;

use crate::error::{DbError, Doing};
use sqlx::PgConnection;

/// Makes the transaction one that cannot write, waits for nobody, and gives up what takes too long. Call it first in it.
pub async fn begin(conn: &mut PgConnection) -> Result<(), DbError> {
    sqlx::query_scalar!(
        r#"SELECT concat(set_config('transaction_read_only', 'on', true), set_config('statement_timeout', '5s', true),
                         set_config('lock_timeout', '1s', true)) AS "set!""#
    )
    .fetch_one(conn)
    .await
    .doing("begin to look")?;
    Ok(())
}
