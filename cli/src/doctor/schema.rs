//! Whether the database is the one that this program knows.

use spool_db::schema;
use spool_queue::Lack;
use sqlx::PgConnection;

use super::finding::or_ok;
use super::{Finding, Findings};

const MIGRATE: &str = "`spool migrate`";
const NEWER: &str = "look with the `spool` of the build that migrated it";

pub(super) async fn look(conn: &mut PgConnection) -> Findings {
    let ours = schema::migrations(conn).await?;
    let lacks = spool_queue::lacks(conn).await?;
    let mut found = Vec::new();
    let nothing = ours.applied == 0 && ours.changed.is_empty();
    if nothing || lacks.contains(&Lack::Schema) {
        let what =
            "the database has no tables of ours: nothing was ever migrated, or this is another database";
        return Ok(vec![Finding { is_the_end: true, ..Finding::error(what, MIGRATE) }]);
    }
    if !ours.pending.is_empty() {
        found.push(Finding::error(
            format!(
                "the schema public is older than this program: migrations {:?} are missing",
                ours.pending
            ),
            MIGRATE,
        ));
    }
    if !ours.unknown.is_empty() {
        found.push(Finding::warning(
            format!(
                "the schema public is newer than this program: it does not know migrations {:?}",
                ours.unknown
            ),
            NEWER,
        ));
    }
    if !ours.changed.is_empty() {
        found.push(Finding::error(
            format!("migrations {:?} of the schema public were something else when they were applied", ours.changed),
            "find the build that applied them: `select version, installed_on from _sqlx_migrations`; `spool migrate` refuses until it is the same",
        ));
    }
    found.extend(lacks.into_iter().map(|lack| {
        let what = lack.to_string();
        match lack {
            Lack::Older(_) => Finding::error(what, MIGRATE),
            Lack::Newer(_) => Finding::warning(what, NEWER),
            Lack::Version(_) => Finding::error(what, "move to Postgres 15 to 18: `pg_upgrade --help`"),
            Lack::Isolation { .. } => Finding::error(
                what,
                "`alter role … set default_transaction_isolation = 'read committed'`, as the sentence says",
            ),
            _ => Finding::error(what, "`grant usage on schema queue to …`, as the sentence says"),
        }
    }));
    Ok(or_ok(found, || format!("public ({} migrations) and queue are up to date", ours.applied)))
}
