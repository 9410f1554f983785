//! What a database lacks for the queue: said in one sentence each when a worker starts, instead of a riddle at its first statement.

use sqlx::PgConnection;

use crate::migrate::MIGRATOR;

/// Major versions of Postgres that the queue is for. It is tested on the oldest and the newest of them.
const VERSIONS: std::ops::RangeInclusive<i32> = 15..=18;

/// What a worker says of a task that it cannot do, so that others can tell by it: it does not know the kind, or not the version.
pub(crate) const NO_HANDLER: &str = " has no handler for ";
pub(crate) const NO_VERSION: &str = " payloads up to version ";

/// Something that keeps the queue from working on a database, or that nobody has tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lack {
    /// The server is older or newer than what is supported.
    #[error("Postgres {0} is not supported: the queue is for {first} to {last}, and tested on these two", first = VERSIONS.start(), last = VERSIONS.end())]
    Version(i32),
    /// There is no schema `queue`, or it is empty.
    #[error("the database has no queue: run the migrations (spool_queue::migrate) first")]
    Schema,
    /// The program knows later migrations.
    #[error("the queue's schema is older than this program: migrations {0:?} are missing, run them")]
    Older(Vec<i64>),
    /// The database has later migrations.
    #[error(
        "the queue's schema is newer than this program: it does not know migrations {0:?}, update the program"
    )]
    Newer(Vec<i64>),
    /// The role may not do what a worker does.
    #[error(
        "role {role} may not read and write {tables:?}: grant it usage on schema queue and select, insert, update, delete on its tables"
    )]
    Permission {
        /// Who connects.
        role: String,
        /// What is closed to it.
        tables: Vec<String>,
    },
    /// Transactions are not read committed unless they say so, and those of the queue do not say it.
    #[error(
        "transactions of role {role} are {level} by default, and the queue needs read committed: alter role {role} set default_transaction_isolation = 'read committed', then connect again"
    )]
    Isolation {
        /// Who connects.
        role: String,
        /// What its transactions are.
        level: String,
    },
}

/// Everything that the database lacks.
///
/// # Errors
/// When the database does not answer.
pub async fn lacks(conn: &mut PgConnection) -> Result<Vec<Lack>, sqlx::Error> {
    let row = sqlx::query!(
        r#"select current_setting('server_version_num')::integer / 10000 as "major!", current_user::text as "role!",
                  current_setting('default_transaction_isolation') as "isolation!",
                  array(select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
                        where n.nspname = 'queue' and c.relname in ('task', 'task_history', 'run', 'edge', 'worker', 'queue', 'duty')
                        order by 1) as "tables!",
                  array(select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
                        where n.nspname = 'queue' and c.relname in ('task', 'task_history', 'run', 'edge', 'worker', 'queue', 'duty')
                          and not (has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
                                   and has_table_privilege(c.oid, 'insert') and has_table_privilege(c.oid, 'update')
                                   and has_table_privilege(c.oid, 'delete'))
                        order by 1) as "closed!",
                  exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                          where n.nspname = 'queue' and c.relname = '_migrations' and has_schema_privilege(n.oid, 'usage')
                            and has_table_privilege(c.oid, 'select')) as "told!""#
    )
    .fetch_one(&mut *conn)
    .await?;
    let mut lacks = Vec::new();
    if !VERSIONS.contains(&row.major) {
        lacks.push(Lack::Version(row.major));
    }
    if row.isolation != "read committed" {
        lacks.push(Lack::Isolation { role: row.role.clone(), level: row.isolation });
    }
    if row.tables.is_empty() {
        lacks.push(Lack::Schema);
    } else if !row.closed.is_empty() {
        lacks.push(Lack::Permission { role: row.role, tables: row.closed });
    } else if row.told {
        #[expect(clippy::disallowed_methods, reason = "the table exists only once a migration has run")]
        let applied: Vec<i64> =
            sqlx::query_scalar("select version from queue._migrations where success order by version")
                .fetch_all(conn)
                .await?;
        lacks.extend(compare(&MIGRATOR.iter().map(|known| known.version).collect::<Vec<_>>(), &applied));
    }
    Ok(lacks)
}

fn compare(known: &[i64], applied: &[i64]) -> Vec<Lack> {
    let without = |these: &[i64], those: &[i64]| -> Vec<i64> {
        these.iter().copied().filter(|version| !those.contains(version)).collect()
    };
    let (missing, unknown) = (without(known, applied), without(applied, known));
    let older = (!missing.is_empty()).then_some(Lack::Older(missing));
    older.into_iter().chain((!unknown.is_empty()).then_some(Lack::Newer(unknown))).collect()
}

/// An error that a pooler causes which gives each transaction another server.
pub(crate) fn is_poolers(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    // Statements that were prepared on another server; a setting that PgBouncer does not know.
    let prepared = matches!(error.code().as_deref(), Some("26000" | "42P05"));
    prepared || error.message().contains("unsupported startup parameter")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_may_be_older_and_newer_than_the_program() {
        assert_eq!(compare(&[1, 2], &[1, 2]), []);
        assert_eq!(compare(&[1, 2, 3], &[1]), [Lack::Older(vec![2, 3])]);
        assert_eq!(compare(&[1, 2], &[1, 2, 3]), [Lack::Newer(vec![3])]);
        assert_eq!(compare(&[1, 2, 4], &[1, 2, 3]), [Lack::Older(vec![4]), Lack::Newer(vec![3])]);
    }

    #[test]
    fn each_is_a_sentence() {
        assert_eq!(
            Lack::Version(14).to_string(),
            "Postgres 14 is not supported: the queue is for 15 to 18, and tested on these two"
        );
    }
}
