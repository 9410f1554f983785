//! A cluster that lives as long as one command (`spool postgres run`).

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{ConnectOptions, postgres::PgConnectOptions};

use super::cluster::{Cluster, ClusterError, Durability};
use crate::supervisor::data_folder::random_hex;
use crate::supervisor::ports::{self, PortError};
use crate::supervisor::service::Service;

/// The throw-away cluster or its schemas cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ThrowawayError {
    #[error("cannot make a temporary folder")]
    Folder(#[source] std::io::Error),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("{0:?} does not say which migrations: give SCHEMA=FOLDER")]
    Unreadable(String),
    #[error("cannot apply the migrations of {}", folder.display())]
    Migrate { folder: PathBuf, source: MigrateError },
}

/// Migrations to apply: the schema that holds their table, and their folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Migrations {
    pub(crate) schema: String,
    pub(crate) folder: PathBuf,
}

impl std::str::FromStr for Migrations {
    type Err = ThrowawayError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((schema, folder)) if !schema.is_empty() && !folder.is_empty() => {
                Ok(Self { schema: schema.to_owned(), folder: PathBuf::from(folder) })
            }
            _ => Err(ThrowawayError::Unreadable(text.to_owned())),
        }
    }
}

/// A running throw-away cluster.
#[derive(Debug)]
pub(crate) struct Throwaway {
    service: Service,
    /// Holds the cluster and its log. The keeper deletes it too, should we be killed.
    folder: tempfile::TempDir,
    pub(crate) url: String,
}

impl Throwaway {
    /// Makes and starts it. `program` is this very binary, which keeps it.
    pub(crate) async fn start(program: &Path, durability: Durability) -> Result<Self, ThrowawayError> {
        // Its name is unguessable and it must be enterable by the account that root steps down to.
        let folder = tempfile::Builder::new()
            .prefix("spool-postgres-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir()
            .map_err(ThrowawayError::Folder)?;
        let password = SecretString::from(random_hex());
        let cluster =
            Cluster::open(&folder.path().join("cluster"), password, ports::any()?, durability).await?;
        let service = cluster.start(program, folder.path().join("postgres.log"), Some(folder.path())).await?;
        Ok(Self { service, folder, url: cluster.url() })
    }

    /// Applies migrations as they lie in the source tree, which needs no compiled schema of ours.
    pub(crate) async fn migrate(&self, migrations: &[Migrations]) -> Result<(), ThrowawayError> {
        for Migrations { schema, folder } in migrations {
            let failed = |source| ThrowawayError::Migrate { folder: folder.clone(), source };
            let mut migrator = Migrator::new(folder.as_path()).await.map_err(failed)?;
            migrator.dangerous_set_table_name(format!("{schema}._sqlx_migrations"));
            migrator.create_schema(schema.clone());
            let options: PgConnectOptions =
                self.url.parse().map_err(|error: sqlx::Error| failed(error.into()))?;
            let mut connection = options.connect().await.map_err(|error| failed(error.into()))?;
            migrator.run_direct(None, &mut connection, false).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Stops and removes it.
    pub(crate) async fn stop(self) {
        self.service.stop().await;
        drop(self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_name_their_schema_and_folder() {
        let read: Migrations = "queue=shared/queue/migrations".parse().unwrap();
        assert_eq!(read, Migrations { schema: "queue".to_owned(), folder: "shared/queue/migrations".into() });
        for bad in ["queue", "=x", "queue="] {
            assert!(bad.parse::<Migrations>().is_err(), "{bad}");
        }
    }
}
